# merge.sh: adds up the counts of all slices, the most frequent word first.
export LC_ALL=C
cat counts-*.txt | awk '{ n[$1] += $2 } END { for (w in n) print n[w], w }' | sort -k1,1nr -k2,2
