package compute

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// maxSiblings bounds what one directory on the way to a hidden path contributes: a
// rule each, in every ruleset. Directories with more entries are temporary ones.
const maxSiblings = 300

// devices are the only ones that a task may open. Disks are not among them, nor
// terminals: a task that has our user could read the one we were started from.
var devices = []string{"null", "zero", "full", "random", "urandom", "tty"}

// A scope holds what every task may reach, opened once, so that the ruleset of a
// task costs a system call a rule.
//
// Landlock can only allow. To hide a directory, everything beside the way to it is
// allowed and the way itself is not: tasks pass through those directories, but
// cannot list them, and what appears in them later stays closed until the node
// starts again.
type scope struct{ rules []rule }

// newScope opens the file system for reading, without the hidden paths, and the
// usual places for writing; shown is readable although it may lie below a hidden one.
func newScope(log *slog.Logger, hidden, shown []string) (*scope, error) {
	way := &trail{}
	for _, path := range hidden {
		if path == "/" {
			return nil, errors.New("hiding the root directory would leave tasks nothing to run")
		}
		way.add(path)
	}
	s := &scope{}
	s.read(log, "/", way)
	for _, path := range []string{"/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue"} {
		if way.clear(path) {
			s.allow(path, mayRead|mayChange)
		}
	}
	for _, name := range devices {
		s.allow("/dev/"+name, mayUseDevice)
	}
	for _, path := range shown {
		s.allow(path, mayRead)
	}
	if len(s.rules) == 0 {
		return nil, fmt.Errorf("hiding %s leaves tasks nothing to run", strings.Join(hidden, ", "))
	}
	return s, nil
}

// read allows reading everything in dir that is not on the way to a hidden path.
func (s *scope) read(log *slog.Logger, dir string, way *trail) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return // what we cannot list, a task could not either
	}
	allowed := 0
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		next := way.next[e.Name()]
		switch {
		case path == "/dev" || e.Type()&os.ModeSymlink != 0:
			// Devices have rules of their own; a link is nothing without its target.
		case next == nil:
			if allowed++; allowed > maxSiblings {
				log.Warn("a directory beside hidden ones has many entries; tasks see only the first", "dir", dir, "seen", maxSiblings)
				return
			}
			s.allow(path, mayRead)
		case !next.hidden:
			s.read(log, path, next)
		}
	}
}

// allow adds a rule for a path if there is something at it.
func (s *scope) allow(path string, rights uint64) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		rights &= onFiles
	}
	s.rules = append(s.rules, rule{fd, rights})
}

// close gives the open paths back.
func (s *scope) close() {
	for _, r := range s.rules {
		unix.Close(r.fd)
	}
	s.rules = nil
}

// A trail is a tree of path elements that lead to hidden paths.
type trail struct {
	hidden bool
	next   map[string]*trail
}

func (t *trail) add(path string) {
	for _, name := range strings.Split(strings.Trim(path, "/"), "/") {
		if t.next == nil {
			t.next = map[string]*trail{}
		}
		if t.next[name] == nil {
			t.next[name] = &trail{}
		}
		t = t.next[name]
	}
	t.hidden = true
}

// clear reports whether path is neither hidden, nor on the way to, nor below
// anything hidden.
func (t *trail) clear(path string) bool {
	for _, name := range strings.Split(strings.Trim(path, "/"), "/") {
		if t = t.next[name]; t == nil {
			return true
		}
		if t.hidden {
			return false
		}
	}
	return false
}

// realPath resolves the links in a path as far as it exists: what it names may be
// made later.
func realPath(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	rest := ""
	for at := path; ; at = filepath.Dir(at) {
		real, err := filepath.EvalSymlinks(at)
		if err == nil {
			return filepath.Join(real, rest), nil
		}
		if at == "/" {
			return "", fmt.Errorf("resolving %s: %w", path, err)
		}
		rest = filepath.Join(filepath.Base(at), rest)
	}
}
