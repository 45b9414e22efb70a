package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Pebble is the embedded driver: one directory, one process, every acknowledged
// commit synced. A row is stored as its version, eight bytes, and its value.
type Pebble struct {
	db    *pebble.DB
	files *walFiles
	// mu makes looking at a commit's preconditions and applying it one step. The wait
	// for the disk is outside of it, so that commits share a sync. A change may so be
	// read a moment before it is durable; but whatever is built on it is behind it in
	// the same log, so nothing durable ever stands on something lost.
	mu sync.Mutex
}

// OpenPebble opens the store in dir, making it if there is none. It fails if another
// process has it open.
func OpenPebble(dir string, log *slog.Logger) (*Pebble, error) {
	made, err := pebble.Peek(dir, vfs.Default)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("looking for the store in %s: %w", dir, err)
	}
	p, err := openPebble(dir, log)
	if err != nil || made != nil && made.Exists && made.FormatMajorVersion == pebble.FormatNewest {
		return p, err
	}
	// The first log of a new store has the engine's oldest form, in which damage cannot
	// be told from the end: all that was acknowledged behind it would go without a word.
	// The next log has the newest.
	if err := p.Close(); err != nil {
		return nil, fmt.Errorf("making the store in %s: %w", dir, err)
	}
	return openPebble(dir, log)
}

func openPebble(dir string, log *slog.Logger) (*Pebble, error) {
	files := &walFiles{FS: vfs.Default, dir: dir}
	options := &pebble.Options{
		FS:     files,
		Logger: pebbleLog{log},
		// Records are small and what is read is mostly what was just written: small
		// caches keep an idle service small.
		CacheSize:          4 << 20,
		MemTableSize:       8 << 20,
		MaxOpenFiles:       256,
		FormatMajorVersion: pebble.FormatNewest,
		// A damaged block fails who reads it, by its checksum. Left to itself the engine
		// would end the process, and with it every account whose blocks are sound.
		EventListener: &pebble.EventListener{DataCorruption: func(info pebble.DataCorruptionInfo) {
			log.Error("a file of the store is damaged; put back a copy of the directory", "file", info.Path, "err", info.Details.Error())
		}},
	}
	// Sealed bytes do not compress.
	options.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionNone })
	db, err := pebble.Open(dir, options)
	if err != nil {
		return nil, fmt.Errorf("opening the store in %s: %w", dir, err)
	}
	return &Pebble{db: db, files: files}, nil
}

// Get implements Driver.
func (p *Pebble) Get(_ context.Context, key []byte) (Row, bool, error) {
	value, closer, err := p.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return Row{}, false, nil
	}
	if err != nil {
		return Row{}, false, err
	}
	defer closer.Close()
	row, err := parseRow(key, value)
	return row, err == nil, err
}

func parseRow(key, stored []byte) (Row, error) {
	if len(stored) < 8 {
		return Row{}, fmt.Errorf("the row at %x is cut off", key)
	}
	return Row{Key: bytes.Clone(key), Version: binary.BigEndian.Uint64(stored), Value: bytes.Clone(stored[8:])}, nil
}

// Scan implements Driver.
func (p *Pebble) Scan(ctx context.Context, from, to []byte, limit int) ([]Row, error) {
	it, err := p.db.NewIterWithContext(ctx, &pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return nil, err
	}
	defer it.Close()
	var rows []Row
	for ok := it.First(); ok && len(rows) < limit; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return nil, err
		}
		row, err := parseRow(it.Key(), value)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, it.Error()
}

// Commit implements Driver.
func (p *Pebble) Commit(ctx context.Context, c *Commit) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b := p.db.NewBatch()
	defer b.Close()
	var stored []byte
	for _, row := range c.Puts {
		stored = binary.BigEndian.AppendUint64(stored[:0], row.Version)
		stored = append(stored, row.Value...)
		if err := b.Set(row.Key, stored, nil); err != nil {
			return err
		}
	}
	for _, key := range c.Deletes {
		if err := b.Delete(key, nil); err != nil {
			return err
		}
	}
	if err := p.apply(b, c); err != nil {
		return err
	}
	return b.SyncWait()
}

// apply is the part of a commit that happens to one commit at a time.
func (p *Pebble) apply(b *pebble.Batch, c *Commit) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, read := range c.Reads {
		version, err := p.version(read.Key)
		if err != nil {
			return err
		}
		if version != read.Version {
			return ErrConflict
		}
	}
	for _, add := range c.Adds {
		if err := p.add(b, add); err != nil {
			return err
		}
	}
	return p.db.ApplyNoSyncWait(b, pebble.Sync)
}

func (p *Pebble) version(key []byte) (uint64, error) {
	value, closer, err := p.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer closer.Close()
	if len(value) < 8 {
		return 0, fmt.Errorf("the row at %x is cut off", key)
	}
	return binary.BigEndian.Uint64(value), nil
}

func (p *Pebble) add(b *pebble.Batch, add Add) error {
	row, ok, err := p.Get(context.Background(), add.Key)
	if err != nil {
		return err
	}
	var n int64
	if ok {
		if len(row.Value) != 8 {
			return fmt.Errorf("the row at %x is not a counter", add.Key)
		}
		n = int64(binary.BigEndian.Uint64(row.Value))
	}
	if n += add.Delta; n == 0 {
		return b.Delete(add.Key, nil)
	}
	stored := binary.BigEndian.AppendUint64(nil, NextSequence())
	return b.Set(add.Key, binary.BigEndian.AppendUint64(stored, uint64(n)), nil)
}

// DeleteRange implements Driver. What was deleted is also driven out of the files,
// as far as the engine can: a tombstone alone would leave the bytes where they are.
func (p *Pebble) DeleteRange(ctx context.Context, from, to []byte) error {
	p.mu.Lock()
	err := p.db.DeleteRange(from, to, pebble.Sync)
	p.mu.Unlock()
	if err != nil {
		return err
	}
	return p.Scrub(ctx, from, to)
}

// Scrub implements Scrubber.
func (p *Pebble) Scrub(ctx context.Context, from, to []byte) error {
	if err := p.db.Flush(); err != nil {
		return err
	}
	if err := p.db.Compact(ctx, from, to, false); err != nil {
		return err
	}
	// What was in the logs before a flush is in tables behind it. Once more, because
	// the log that is begun with the first flush may be an old one used again, with old
	// writes behind its new ones.
	for range 2 {
		logs, err := p.files.logs()
		if err != nil {
			return err
		}
		if err := p.db.Flush(); err != nil {
			return err
		}
		if err := p.files.empty(logs); err != nil {
			return err
		}
	}
	return nil
}

// Close implements Driver.
func (p *Pebble) Close() error { return p.db.Close() }

// pebbleLog keeps the engine's own messages out of the way unless something is wrong.
type pebbleLog struct{ log *slog.Logger }

func (l pebbleLog) Infof(format string, args ...any) {
	l.log.Debug(fmt.Sprintf("store: "+format, args...))
}

func (l pebbleLog) Errorf(format string, args ...any) {
	l.log.Error(fmt.Sprintf("store: "+format, args...))
}

// Fatalf is called when the engine cannot go on without risking what it has stored.
func (l pebbleLog) Fatalf(format string, args ...any) {
	l.log.Error(fmt.Sprintf("store: "+format, args...))
	panic("store: " + fmt.Sprintf(format, args...))
}
