package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"unicode/utf16"
)

// A finding is what a search for words in files came to.
type finding struct {
	files int
	bytes int64
	// hits are words with the file in which they are.
	hits []string
}

// searchFiles looks for words in every file below dir, but for the directories in
// skip: as they are in any case, and as hex, base64 and UTF-16 would hide them.
func searchFiles(dir string, words []string, skip ...string) (finding, error) {
	var found finding
	disguises := map[string][]disguise{}
	for _, w := range words {
		disguises[w] = disguisesOf(w)
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		// A store tidies up after itself while we look.
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if d.IsDir() {
			if slices.Contains(skip, path) {
				return fs.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() {
			return nil
		}
		content, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		found.files++
		found.bytes += int64(len(content))
		// A name tells as much as a content.
		content = append(content, "\n"+path...)
		folded := bytes.ToLower(content)
		for _, w := range words {
			for _, look := range disguises[w] {
				in := content
				if look.folded {
					in = folded
				}
				if bytes.Contains(in, look.bytes) {
					found.hits = append(found.hits, w+" in "+path)
					break
				}
			}
		}
		return nil
	})
	return found, err
}

// A disguise is a form in which a word can be in a file.
type disguise struct {
	bytes []byte
	// folded forms are looked for without case.
	folded bool
}

func disguisesOf(word string) []disguise {
	lower := bytes.ToLower([]byte(word))
	looks := []disguise{{lower, true}, {[]byte(hex.EncodeToString([]byte(word))), true}}
	var little, big []byte
	for _, u := range utf16.Encode([]rune(string(lower))) {
		little = append(little, byte(u), byte(u>>8))
		big = append(big, byte(u>>8), byte(u))
	}
	looks = append(looks, disguise{little, true}, disguise{big, true})
	// In base64 a word looks different at each of three offsets, and its ends depend
	// on its neighbours, so only the middle can be looked for.
	for offset := range 3 {
		padded := append(make([]byte, offset), word...)
		for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			text := enc.EncodeToString(padded)
			from := (offset*8 + 5) / 6
			to := len(padded) * 8 / 6
			looks = append(looks, disguise{[]byte(text[from:to]), false})
		}
	}
	return looks
}
