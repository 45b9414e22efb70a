package store_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"latchkey/store"
)

// A flipped bit on the disk fails who reads it, and nobody else: not the process, and
// not who reads rows elsewhere.
func TestADamagedBlockFailsItsReadersOnly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx := context.Background()
	log := slog.New(slog.DiscardHandler)
	p, err := store.OpenPebble(dir, log)
	must(t, err)
	const rows = 64
	key := func(i int) []byte { return fmt.Appendf(nil, "key%02d", i) }
	for i := range rows {
		must(t, p.Commit(ctx, &store.Commit{Puts: []store.Row{{Key: key(i), Value: make([]byte, 1000), Version: 1}}}))
	}
	must(t, p.Close())
	// Opening writes what the log holds into tables.
	p, err = store.OpenPebble(dir, log)
	must(t, err)
	must(t, p.Close())
	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatalf("tables %v, %v", tables, err)
	}
	for _, table := range tables {
		b, err := os.ReadFile(table)
		must(t, err)
		b[len(b)/2] ^= 1
		must(t, os.WriteFile(table, b, 0o600))
	}

	p, err = store.OpenPebble(dir, log)
	must(t, err)
	defer p.Close()
	bad := 0
	for i := range rows {
		row, ok, err := p.Get(ctx, key(i))
		switch {
		case err != nil:
			bad++
		case !ok || len(row.Value) != 1000:
			t.Errorf("row %d is %v, %d bytes", i, ok, len(row.Value))
		}
	}
	if bad == 0 || bad == rows {
		t.Errorf("%d of %d rows fail, want those of one block", bad, rows)
	}
	if _, err := p.Scan(ctx, []byte("key"), []byte("kez"), 1000); err == nil {
		t.Error("a scan over the damage finds nothing wrong")
	}
	must(t, p.Commit(ctx, &store.Commit{Puts: []store.Row{{Key: []byte("new"), Value: []byte("x"), Version: 1}}}))
}

// A flipped bit in the log is found when the log is read again, even that of a store
// which has just been made: what was acknowledged behind it is not dropped in silence.
func TestADamagedLogIsNotReadAsAShortOne(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	log := slog.New(slog.DiscardHandler)
	p, err := store.OpenPebble(dir, log)
	must(t, err)
	for i := range 200 {
		must(t, p.Commit(context.Background(), &store.Commit{Puts: []store.Row{{Key: fmt.Appendf(nil, "key%d", i), Value: make([]byte, 1000), Version: 1}}}))
	}
	// The copy is what a killed service leaves.
	killed := t.TempDir()
	must(t, os.CopyFS(killed, os.DirFS(dir)))
	must(t, p.Close())
	logs, err := filepath.Glob(filepath.Join(killed, "*.log"))
	if err != nil || len(logs) == 0 {
		t.Fatalf("logs %v, %v", logs, err)
	}
	for _, log := range logs {
		b, err := os.ReadFile(log)
		must(t, err)
		if len(b) > 0 {
			b[len(b)/4] ^= 1
			must(t, os.WriteFile(log, b, 0o600))
		}
	}
	if p, err := store.OpenPebble(killed, log); err == nil {
		p.Close()
		t.Error("a store with a damaged log opens")
	}
}
