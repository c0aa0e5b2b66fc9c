# Sourced before `ray start` and `rayrealm up`, in the project's folder: every flag, what realm.env says, the limit of open files.
# HAProxy's files, its admin socket and its private key among them, go to a folder of this user's own.
R=$(pwd)
H=$HOME
ulimit -n 65536
mkdir -p -m 700 "$H/edge" && chmod 700 "$H/edge"
set -a
. deploy/ray.env
if [ -f "$H/realm.env" ]; then . "$H/realm.env"; fi
set +a
