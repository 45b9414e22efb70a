package main

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

func TestSlicesMakeUpTheText(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2, 39, 200} {
		parts := sliceText(opticks, n)
		if len(parts) != n {
			t.Fatalf("sliceText(…, %d) made %d parts", n, len(parts))
		}
		if got := bytes.Join(parts, nil); !bytes.Equal(got, opticks) {
			t.Errorf("the %d parts do not make up the text", n)
		}
		for i, p := range parts[:n-1] {
			if len(p) == 0 || p[len(p)-1] != '\n' {
				t.Errorf("part %d of %d does not end with a line", i+1, n)
			}
		}
	}
	for i, p := range sliceText([]byte("one line"), 3) {
		if want := []string{"one line", "", ""}[i]; string(p) != want {
			t.Errorf("part %d of one line = %q, want %q", i+1, p, want)
		}
	}
}

func TestScriptsCountAsTheProgramDoes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run := func(args ...string) []byte {
		t.Helper()
		c := exec.Command("/bin/sh", args...)
		c.Dir = dir
		out, err := c.Output()
		if err != nil {
			t.Fatalf("sh %q: %v", args, err)
		}
		return out
	}
	mustWrite(t, filepath.Join(dir, "count.sh"), countScript)
	mustWrite(t, filepath.Join(dir, "merge.sh"), mergeScript)
	for i, part := range sliceText(opticks, 3) {
		n := strconv.Itoa(i)
		mustWrite(t, filepath.Join(dir, "slice-"+n), part)
		mustWrite(t, filepath.Join(dir, "counts-"+n+".txt"), run("count.sh", "slice-"+n, "0"))
	}
	counts, err := readCounts(bytes.NewReader(run("merge.sh")))
	if err != nil {
		t.Fatal(err)
	}
	want := countWords(opticks)
	if err := compareCounts(counts, want); err != nil {
		t.Error(err)
	}
	if counts[0].word != "the" {
		t.Errorf("the most frequent word is %q", counts[0].word)
	}
	want["prism"]++
	if compareCounts(counts, want) == nil {
		t.Error("a wrong count was not noticed")
	}
}
