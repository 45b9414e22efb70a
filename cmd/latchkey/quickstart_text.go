package main

import (
	"bufio"
	"bytes"
	_ "embed"
	"fmt"
	"io"
	"strings"
)

// What the tasks work on and what they run; text/README.md says where it is from.
var (
	//go:embed text/opticks.txt
	opticks []byte
	//go:embed text/count.sh
	countScript []byte
	//go:embed text/merge.sh
	mergeScript []byte
)

// sliceText cuts a text into n parts of about the same length, at the ends of lines
// so that no word is cut.
func sliceText(text []byte, n int) [][]byte {
	parts := make([][]byte, 0, n)
	for left := n; left > 1; left-- {
		at := len(text) / left
		if end := bytes.IndexByte(text[at:], '\n'); end >= 0 {
			at += end + 1
		} else {
			at = len(text)
		}
		parts = append(parts, text[:at])
		text = text[at:]
	}
	return append(parts, text)
}

// countWords counts the words of a text as count.sh does: a word is a run of ASCII
// letters, in lower case.
func countWords(text []byte) map[string]int {
	counts := map[string]int{}
	for word := range bytes.FieldsFuncSeq(text, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}) {
		counts[strings.ToLower(string(word))]++
	}
	return counts
}

// A wordCount is one line of what merge.sh prints.
type wordCount struct {
	word string
	n    int
}

// readCounts reads what merge.sh printed.
func readCounts(r io.Reader) ([]wordCount, error) {
	var counts []wordCount
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		var c wordCount
		if _, err := fmt.Sscanf(lines.Text(), "%d %s", &c.n, &c.word); err != nil {
			return nil, fmt.Errorf("reading the merged counts: line %q: %w", lines.Text(), err)
		}
		counts = append(counts, c)
	}
	return counts, lines.Err()
}

// compareCounts says whether the tasks counted what this program counts.
func compareCounts(got []wordCount, want map[string]int) error {
	if len(got) != len(want) {
		return fmt.Errorf("the tasks found %d different words, and there are %d", len(got), len(want))
	}
	for _, c := range got {
		if want[c.word] != c.n {
			return fmt.Errorf("the tasks counted %q %d times, and it is there %d times", c.word, c.n, want[c.word])
		}
	}
	return nil
}

// total adds up the counts.
func total(counts []wordCount) int {
	n := 0
	for _, c := range counts {
		n += c.n
	}
	return n
}
