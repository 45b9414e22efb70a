package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// walFiles is the file system of the engine, which keeps a few of its old logs to use
// their files again: everything that was written lately stands in them, long after it
// was overwritten or deleted. So a scrub has to empty them, and must not do so while
// the engine takes one of them for its new log.
type walFiles struct {
	vfs.FS
	dir string
	mu  sync.Mutex
}

// ReuseForWrite implements vfs.FS.
func (w *walFiles) ReuseForWrite(old, new string, category vfs.DiskWriteCategory) (vfs.File, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.FS.ReuseForWrite(old, new, category)
}

// Unwrap implements vfs.FS.
func (w *walFiles) Unwrap() vfs.FS { return w.FS }

// logs lists the names of the logs that there are now.
func (w *walFiles) logs() ([]string, error) {
	entries, err := os.ReadDir(w.dir)
	if err != nil {
		return nil, err
	}
	var logs []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".log") {
			logs = append(logs, e.Name())
		}
	}
	return logs, nil
}

// empty empties logs that the engine does not need any more. One that it has taken
// for its new log has another name since, and one that it has removed has none.
func (w *walFiles) empty(logs []string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, name := range logs {
		if err := os.Truncate(filepath.Join(w.dir, name), 0); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
