package compute

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// maxUsers bounds how many slots can have a user of their own at a time; the ids
// beyond belong to others on many systems.
const maxUsers = 1000

// A users hands out user ids, the lowest first, each to one slot at a time.
type users struct {
	first int
	mu    sync.Mutex
	taken map[int]bool
}

func (u *users) take() (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.taken == nil {
		u.taken = map[int]bool{}
	}
	for id := u.first; id < u.first+maxUsers; id++ {
		if !u.taken[id] {
			u.taken[id] = true
			return id, nil
		}
	}
	return 0, fmt.Errorf("all %d users for tasks are in use", maxUsers)
}

func (u *users) give(id int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.taken, id)
}

// probeUsers says why tasks cannot have users of their own; nil means that they can.
func (l *Local) probeUsers() error {
	if os.Geteuid() != 0 {
		return errors.New("the service is not root")
	}
	probe, err := os.CreateTemp(l.dir, ".probe-")
	if err != nil {
		return fmt.Errorf("trying to give a file away: %w", err)
	}
	defer os.Remove(probe.Name())
	defer probe.Close()
	if err := probe.Chown(l.users.first, l.users.first); err != nil {
		return fmt.Errorf("trying to give a file away: %w", err)
	}
	// A user that is not ours must get to its directory.
	if err := os.Chmod(l.dir, 0o711); err != nil {
		return err
	}
	for dir := l.dir; ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return err
		}
		if info.Mode()&0o001 == 0 {
			return fmt.Errorf("%s cannot be passed by other users", dir)
		}
		if dir == "/" {
			return nil
		}
	}
}
