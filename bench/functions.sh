#!/bin/sh
# Times of attention with functions, biases and block masks beside FlexAttention's, as a table for a document. Both check their
# results first, and are timed one process at a time, ours and theirs of a function after one another.
#
#   bench/functions.sh BATCH HEADS LENGTH HEAD_DIM [FUNCTION]...
#
# Environment: JOBS, how many processes prepare at once (4; each takes a core and some gigabytes); PYTHON, one with PyTorch (python3);
# TIMING_LOCK, a file that other runs on the same GPU lock too.
set -eu
cd "$(dirname "$0")/.."
[ $# -ge 4 ] || { sed -n 's/^# \{0,1\}//p' "$0" >&2; exit 2; }
shape="$1 $2 $3 $4"
shift 4
[ $# != 0 ] || set -- none causal window documents prefix blocks tenth alibi softcap table bias dbias
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
TIMING_LOCK=${TIMING_LOCK:-$results/lock}
export TIMING_LOCK

for name; do
    printf '%s\n' "./attention example FunctionTimes $shape $name >$results/$name.ours 2>$results/$name.errors"
    printf '%s\n' "${PYTHON:-python3} bench/functions.py $shape $name >$results/$name.theirs 2>>$results/$name.errors"
done | xargs -P "${JOBS:-4}" -I{} sh -c '{} || :'

# The times of a line, 'refused' or, where there is none, 'failed'.
of() { # file, name
    sed -n "s/^$2 .*forward *\([0-9]*\) us, backward *\([0-9]*\) us.*/\1 \2/p; s/^$2 *refused.*/refused refused/p" "$1" | grep . || echo failed failed
}

echo "| function | forward: ours, FlexAttention, their ratio | backward |"
echo "|---|---|---|"
for name; do
    echo "$name $(of "$results/$name.ours" "$name") $(of "$results/$name.theirs" "$name")"
done | awk '
    function column(ours, theirs) { return sprintf("%s, %s, %s", ours, theirs, ours + 0 > 0 && theirs + 0 > 0 ? sprintf("%.2f", theirs / ours) : "–") }
    { printf "| %s | %s | %s |\n", $1, column($2, $4), column($3, $5) }'
for name; do
    if ! grep -q "^$name .*forward" "$results/$name.ours"; then tail -n 5 "$results/$name.errors" >&2; fi
done
