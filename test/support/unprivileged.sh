# Mounts a golden image as user 65534 through fusermount3, lists it, and unmounts it. Run as root inside
# `unshare -m`: /dev/fuse may be root's alone, so a copy that everybody may open is bound over it, seen by nobody else.
# Arguments: folder (empty), run, list-tree.js, mount-golden.js, and `busy` to leave a process in the mount.
set -eu
folder=$1 run=$2 list=$3 serve=$4 mode=${5-}
mknod "$folder/fuse" c 10 229
chmod 666 "$folder/fuse"
chmod 755 "$folder"
mkdir "$folder/mnt"
chown 65534:65534 "$folder" "$folder/mnt"
mount --bind "$folder/fuse" /dev/fuse
as="setpriv --reuid=65534 --regid=65534 --clear-groups"
mkfifo "$folder/stop"
$as node "$serve" "$run" "$folder/mnt" "$folder/cache" < "$folder/stop" > "$folder/out" &
server=$!
exec 3> "$folder/stop"
while ! grep -q mounted "$folder/out"; do
  kill -0 $server
  sleep 0.05
done
grep " $folder/mnt " /proc/self/mountinfo > "$folder/mountinfo"
$as node "$list" "$folder/mnt" > "$folder/rows"
if [ "$mode" = busy ]; then
  $as sh -c "cd '$folder/mnt' && exec sleep 60" 3>&- &
  user=$!
  sleep 0.3
fi
exec 3>&-
wait $server
if [ "$mode" = busy ]; then kill $user; fi
if grep -q " $folder/mnt " /proc/self/mountinfo; then echo "still mounted" >> "$folder/out"; fi
