package store_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"latchkey/store"
)

// TestScrubbedValuesAreInNoFile looks where somebody with a copy of the disk would.
func TestScrubbedValuesAreInNoFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p, err := store.OpenPebble(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	put := func(key, value string, version uint64) {
		t.Helper()
		must(t, p.Commit(ctx, &store.Commit{Puts: []store.Row{{Key: []byte(key), Value: []byte(value), Version: version}}}))
	}
	// In each round the value is overwritten, and the logs of earlier rounds are there
	// to be used again.
	for round := range uint64(8) {
		secret := fmt.Sprintf("a value that must go (%d)", round)
		put("key", secret, 2*round+1)
		for i := range 20 {
			put(fmt.Sprint("other", i), string(bytes.Repeat([]byte{'x'}, 1000)), round+1)
		}
		put("key", "another", 2*round+2)
		must(t, p.Scrub(ctx, []byte("k"), []byte("l")))
		if where := filesWith(t, dir, secret); where != "" {
			t.Errorf("round %d: the value is still in %s", round, where)
		}
	}
	must(t, p.Close())
	if p, err = store.OpenPebble(dir, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if row, ok, err := p.Get(ctx, []byte("other7")); err != nil || !ok || len(row.Value) != 1000 {
		t.Errorf("what was not scrubbed: %d bytes, %v, %v", len(row.Value), ok, err)
	}
}

// TestScrubbingLosesNothingThatIsWrittenMeanwhile opens a copy of the files, taken
// without closing anything, as after a kill.
func TestScrubbingLosesNothingThatIsWrittenMeanwhile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p, err := store.OpenPebble(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	const writers, each = 4, 100
	var writing sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			for i := range each {
				row := store.Row{Key: fmt.Appendf(nil, "%d-%d", w, i), Value: make([]byte, 2000), Version: 1}
				if err := p.Commit(ctx, &store.Commit{Puts: []store.Row{row}}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() {
		writing.Wait()
		close(done)
	}()
	for scrubbing := true; scrubbing; {
		if err := p.Scrub(ctx, []byte("a"), []byte("b")); err != nil {
			t.Fatal(err)
		}
		select {
		case <-done:
			scrubbing = false
		default:
		}
	}
	copied := t.TempDir()
	must(t, os.CopyFS(copied, os.DirFS(dir)))
	must(t, p.Close())
	if p, err = store.OpenPebble(copied, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	rows, err := p.Scan(ctx, []byte("0"), []byte("9"), 2*writers*each)
	if err != nil || len(rows) != writers*each {
		t.Errorf("%d of %d rows are there, %v", len(rows), writers*each, err)
	}
}

// filesWith returns the name of a file below dir that has text in it, or "".
func filesWith(t *testing.T, dir, text string) (found string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil // an engine removes files as it likes
		}
		if b, err := os.ReadFile(path); err == nil && bytes.Contains(b, []byte(text)) {
			found = filepath.Base(path)
		}
		return nil
	})
	must(t, err)
	return found
}
