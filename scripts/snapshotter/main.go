// Pulls an image into containerd through nydus-snapshotter, with the labels that a container runtime's interface adds.
// Arguments: containerd's socket, the image.
package main

import (
	"context"
	"log"
	"os"

	"github.com/containerd/containerd"
	"github.com/containerd/containerd/namespaces"
	"github.com/containerd/containerd/pkg/snapshotters"
	"github.com/containerd/containerd/remotes/docker"
)

func main() {
	client, err := containerd.New(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	image := os.Args[2]
	hosts := docker.ConfigureDefaultRegistries(docker.WithPlainHTTP(docker.MatchAllHosts))
	_, err = client.Pull(namespaces.WithNamespace(context.Background(), "default"), image,
		containerd.WithPullUnpack,
		containerd.WithPullSnapshotter("nydus"),
		containerd.WithResolver(docker.NewResolver(docker.ResolverOptions{Hosts: hosts})),
		containerd.WithImageHandlerWrapper(snapshotters.AppendInfoHandlerWrapper(image)))
	if err != nil {
		log.Fatal(err)
	}
}
