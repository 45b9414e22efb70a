# count.sh FILE SECONDS: prints every word of FILE and how often it is there.
# The words of one slice are counted in no time; the pause makes the job last long
# enough to take the key away while it runs.
export LC_ALL=C
tr -cs 'A-Za-z' '\n' <"$1" | tr 'A-Z' 'a-z' | sort | uniq -c | awk 'NF == 2 { print $2, $1 }'
exec sleep "$2"
