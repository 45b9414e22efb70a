package main

import (
	"encoding/base64"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"
)

func mustWrite(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestSearchFindsWordsInDisguise(t *testing.T) {
	t.Parallel()
	const word = "prism-7f3a"
	text := "before " + word + " after"
	wide := func(big bool) []byte {
		var b []byte
		for _, u := range utf16.Encode([]rune(text)) {
			if big {
				b = append(b, byte(u>>8), byte(u))
			} else {
				b = append(b, byte(u), byte(u>>8))
			}
		}
		return b
	}
	for name, content := range map[string][]byte{
		"plain":           []byte(text),
		"upper case":      []byte(strings.ToUpper(text)),
		"hex":             []byte(hex.EncodeToString([]byte(text))),
		"upper-case hex":  []byte(strings.ToUpper(hex.EncodeToString([]byte(text)))),
		"UTF-16LE":        wide(false),
		"UTF-16BE":        wide(true),
		"base64":          []byte(base64.StdEncoding.EncodeToString([]byte(text))),
		"base64 shifted":  []byte(base64.URLEncoding.EncodeToString([]byte("x" + text))),
		"base64 shifted2": []byte(base64.RawURLEncoding.EncodeToString([]byte("xx" + text))),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			mustWrite(t, filepath.Join(dir, "store", "000001.log"), content)
			found, err := searchFiles(dir, []string{word, "absent-words"})
			if err != nil {
				t.Fatal(err)
			}
			if len(found.hits) != 1 || !strings.HasPrefix(found.hits[0], word+" in ") {
				t.Errorf("hits = %q, want the one word", found.hits)
			}
		})
	}
	t.Run("name of a file", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		mustWrite(t, filepath.Join(dir, "store", word), nil)
		mustWrite(t, filepath.Join(dir, "nodes", word), nil)
		found, err := searchFiles(dir, []string{word}, filepath.Join(dir, "nodes"))
		if err != nil {
			t.Fatal(err)
		}
		if len(found.hits) != 1 || found.files != 1 {
			t.Errorf("hits = %q in %d files, want one in the one that is not skipped", found.hits, found.files)
		}
	})
}
