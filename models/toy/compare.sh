#!/usr/bin/env bash
# Compares the speed of checkers on the toy, and prints a table in Markdown; progress goes to stderr.
#
#   models/toy/compare.sh [middle=N] [large=N] [paxos=N]        N repetitions of each; default 5
#   (a round of large takes some minutes)
#
# First it checks that Spin and every explorer in Rust count the same at every size, and that all
# find the violation when nodes do not judge. Then it measures, in one run, the repetitions
# interleaved, so that whatever else the machine does falls on all alike.
# Needs: spin, gcc, GNU time, cargo. Set PAXOS_TARGET_DIR to keep the build of stateright's example.
set -euo pipefail
cd "$(dirname "$0")"
export LC_ALL=C CARGO_TERM_COLOR=never

declare -A repetitions=([middle]=5 [large]=5 [paxos]=5)
for argument in "$@"; do
    name=${argument%%=*}
    if [[ -z ${repetitions[$name]:-} || ! ${argument#*=} =~ ^[0-9]+$ ]]; then
        sed -n '2,5p' "$0" >&2
        exit 2
    fi
    repetitions[$name]=${argument#*=}
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
revision=$(git rev-parse --short HEAD)$(git diff --quiet HEAD -- . || echo ", changed")
say() { echo "compare: $*" >&2; }

# --- Build ---------------------------------------------------------------------------------------

say "building the toy"
cargo build --quiet --release -p counterfoil-toy
toy=$(cargo metadata --format-version 1 --no-deps |
    sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')/release/toy

# Options of pan: a hash table of at least as many slots as there are states, a stack deep enough.
declare -A slots=([small]=16 [middle]=20 [large]=24)
pan_flags=(-O2 -DSAFETY -DNOREDUCE -DMEMLIM=12000)
for size in small middle large; do
    read -ra bounds <<<"$("$toy" bounds --size "$size")"
    mkdir "$work/$size"
    (
        cd "$work/$size"
        spin -a "${bounds[@]}" "$OLDPWD/toy.pml" >spin.log
        gcc "${pan_flags[@]}" -o pan pan.c
        gcc "${pan_flags[@]}" -DCOLLAPSE -o pan-collapse pan.c
        gcc "${pan_flags[@]}" -DHC4 -o pan-hc4 pan.c
        gcc "${pan_flags[@]}" -DNCORE=2 -o pan-ncore pan.c
    )
done
mkdir "$work/unjudged"
(
    read -ra bounds <<<"$("$toy" bounds --size small)"
    cd "$work/unjudged"
    spin -a "${bounds[@]}" -DJUDGES=0 "$OLDPWD/toy.pml" >spin.log
    gcc "${pan_flags[@]}" -o pan pan.c
)

if ((repetitions[paxos] > 0)); then
    say "building stateright's paxos"
    manifest=$(cargo metadata --format-version 1 |
        grep -o '"manifest_path":"[^"]*/stateright-[0-9.]*/Cargo.toml"' | head -n 1 | cut -d'"' -f4)
    mkdir "$work/stateright"
    cp -r "$(dirname "$manifest")/." "$work/stateright"
    paxos_target=${PAXOS_TARGET_DIR:-$work/stateright/target}
    (cd "$work/stateright" &&
        CARGO_TARGET_DIR=$paxos_target cargo build --quiet --release --example paxos 2>"$work/paxos.log") ||
        { cat "$work/paxos.log" >&2; exit 1; }
    paxos=$paxos_target/release/examples/paxos
fi

# --- What is measured ----------------------------------------------------------------------------

# Prints "distinct transitions" from what a checker printed. A transition is a state that was
# generated, seen before or not, the first state included: state_count of stateright, and "stored +
# matched" of Spin.
counts() {
    awk '
        /^distinct=/ { split($1, d, "="); split($2, t, "="); distinct = d[2]; transitions = t[2] }
        / states, stored$/ { distinct = $1 }
        /transitions \(= stored\+matched\)/ { transitions = $1 }
        /^Done\. / { split($2, t, /[=,]/); split($3, d, /[=,]/); transitions = t[2]; distinct = d[2] }
        END { printf "%d %d\n", distinct, transitions }' "$1"
}

# Runs a command; adds a line to the measurements: group, name, counts, wall, CPU, kilobytes.
measure() {
    local group=$1 name=$2
    shift 2
    (cd "$work" && /usr/bin/time -o "$work/time" -f '%e %U %S %M' "$@" >"$work/out" 2>&1) || {
        cat "$work/out" >&2
        return 1
    }
    local distinct transitions wall user system memory
    read -r distinct transitions < <(counts "$work/out")
    read -r wall user system memory <"$work/time"
    awk -v OFS='\t' -v group="$group" -v name="$name" -v distinct="$distinct" \
        -v transitions="$transitions" -v wall="$wall" -v user="$user" -v system_="$system" \
        -v memory="$memory" \
        'BEGIN { print group, name, distinct, transitions, wall, user + system_, memory }' \
        >>"$work/measurements"
}

measure_toy() {
    local size=$1
    local pan=(-m10000 "-w${slots[$size]}")
    measure "$size" "stateright DFS, 1 thread" "$toy" check --size "$size" --engine dfs
    measure "$size" "stateright DFS, 2 threads" "$toy" check --size "$size" --engine dfs --threads 2
    measure "$size" "stateright BFS, 1 thread" "$toy" check --size "$size" --engine bfs
    measure "$size" "own explorer, 1 thread" "$toy" check --size "$size" --engine own
    measure "$size" "Spin" "$work/$size/pan" "${pan[@]}"
    measure "$size" "Spin COLLAPSE" "$work/$size/pan-collapse" "${pan[@]}"
    measure "$size" "Spin HC4 (hashes only)" "$work/$size/pan-hc4" "${pan[@]}"
    measure "$size" "Spin NCORE=2" "$work/$size/pan-ncore" "${pan[@]}" -z4
}

measure_paxos() {
    # The example takes as many threads as it may use cores.
    local core
    core=$(taskset -pc $$ | sed 's/.*: //; s/[-,].*//')
    measure paxos "stateright paxos DFS, 1 thread" taskset -c "$core" "$paxos" check-dfs 3
    measure paxos "stateright paxos DFS, all cores" "$paxos" check-dfs 3
    measure paxos "stateright paxos BFS, all cores" "$paxos" check 3
}

# --- Equal counts, equal verdicts ----------------------------------------------------------------

for size in small middle large; do
    "$toy" check --size "$size" --engine own >"$work/own"
    "$toy" check --size "$size" --engine dfs >"$work/dfs"
    "$work/$size/pan" -m10000 "-w${slots[$size]}" >"$work/spin"
    say "$size: own $(counts "$work/own"), stateright $(counts "$work/dfs"), Spin $(counts "$work/spin")"
    if [[ $(counts "$work/own") != "$(counts "$work/spin")" ||
        $(counts "$work/dfs") != "$(counts "$work/spin")" ]]; then
        say "the counts differ"
        exit 1
    fi
    if ! grep -q 'errors: 0' "$work/spin"; then
        say "Spin finds a violation where there is none"
        exit 1
    fi
done
for engine in own dfs bfs; do
    if "$toy" check --size small --engine "$engine" --unjudged >"$work/out"; then
        say "$engine misses the violation"
        exit 1
    fi
    grep -q violated "$work/out"
done
(cd "$work/unjudged" && ./pan -m10000 >out) || true
grep -q 'assertion violated' "$work/unjudged/out" || { say "Spin misses the violation"; exit 1; }
say "unjudged: every checker finds the violation"

# --- Measure -------------------------------------------------------------------------------------

load_before=$(cut -d' ' -f1-3 /proc/loadavg)
rounds=0
for group in "${!repetitions[@]}"; do
    if ((repetitions[$group] > rounds)); then rounds=${repetitions[$group]}; fi
done
for ((round = 1; round <= rounds; round++)); do
    say "round $round of $rounds"
    for size in middle large; do
        if ((repetitions[$size] >= round)); then measure_toy "$size"; fi
    done
    if ((repetitions[paxos] >= round)); then measure_paxos; fi
done

# --- Report --------------------------------------------------------------------------------------

cat <<REPORT
# The toy: how fast checkers are

$(date -u +%Y-%m-%d) · commit $revision · \
$(nproc) cores, $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), \
$(awk '/^MemTotal/ { printf "%.0f GiB", $2 / 1048576 }' /proc/meminfo) · \
$(rustc --version | cut -d' ' -f1-2) · $(gcc --version | head -n 1) · $(spin -V | cut -d' ' -f1-3)

Load of the machine (1, 5, 15 minutes) before: $load_before; after: $(cut -d' ' -f1-3 /proc/loadavg).
Repetitions, interleaved: middle ${repetitions[middle]}, large ${repetitions[large]}, paxos ${repetitions[paxos]}.

| checker | distinct | transitions | wall s, median (range) | CPU s, median (range) | M transitions / wall s | M transitions / CPU s | M distinct / CPU s | peak MB | bytes / distinct |
|---|---|---|---|---|---|---|---|---|---|
REPORT
sort -t "$(printf '\t')" -s -k1,2 "$work/measurements" | awk -F '\t' '
    function median(values, n,    i, j, t) {
        for (i = 2; i <= n; i++)
            for (j = i; j > 1 && values[j - 1] > values[j]; j--) {
                t = values[j]; values[j] = values[j - 1]; values[j - 1] = t
            }
        return n % 2 ? values[(n + 1) / 2] : (values[n / 2] + values[n / 2 + 1]) / 2
    }
    function row(    w, c, m) {
        w = median(wall, n); c = median(cpu, n); m = median(memory, n) * 1024
        printf "| %s: %s | %d | %d | %.2f (%.2f to %.2f) | %.2f (%.2f to %.2f)", \
            group, name, distinct, transitions, w, wall[1], wall[n], c, cpu[1], cpu[n]
        # Each process of Spin is measured alone, so the time of all of them is not known.
        if (name ~ /NCORE/) printf " of one process | %.2f | – | –", transitions / w / 1e6
        else printf " | %.2f | %.2f | %.2f", transitions / w / 1e6, transitions / c / 1e6, distinct / c / 1e6
        printf " | %.0f | %.0f |\n", m / 1e6, m / distinct
    }
    $1 != group || $2 != name { if (n) row(); n = 0; group = $1; name = $2 }
    { n++; distinct = $3; transitions = $4; wall[n] = $5 + 0; cpu[n] = $6 + 0; memory[n] = $7 + 0 }
    END { if (n) row() }'
cat <<REPORT

A transition is a state that was generated, seen before or not, the first state included:
\`state_count\` of stateright, "stored + matched" of Spin. Wall seconds are of the whole process; CPU
seconds are its user and system time, which other work on the machine disturbs less. Peak memory is
the largest resident set, tables that are not full included. Spin and Spin COLLAPSE keep whole states;
stateright, our own explorer and HC4 keep hashes only (64 bits in Rust); where a row counts fewer
states than the others of its size, it missed them.

Commands: \`toy check --size SIZE --engine dfs|bfs|own [--threads 2]\` · \`spin -a BOUNDS toy.pml\`, with
BOUNDS as \`toy bounds --size SIZE\` prints them (middle: \`$("$toy" bounds --size middle)\`; large:
\`$("$toy" bounds --size large)\`) · \`gcc ${pan_flags[*]} [-DCOLLAPSE | -DHC4 | -DNCORE=2] -o pan pan.c\` ·
\`./pan -m10000 -w${slots[middle]}\` (large: \`-w${slots[large]}\`; with NCORE \`-z4\`, the depth at which work
is handed over) · \`paxos check-dfs 3\` and \`paxos check 3\` of stateright, on one core with \`taskset\`.
REPORT
