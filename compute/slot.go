package compute

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// settleTime is how long a killed tree may take to be gone. A process that the
// kernel cannot kill (it hangs in a driver) is left behind after it.
const settleTime = 2 * time.Second

// A slot is where one run at a time lives: a leaf of the control group or a mark to
// know its processes by, a user when we are root, and a line on the node's disk
// that says which directory is in use.
type slot struct {
	index int
	uid   int
	leaf  *leaf

	mu   sync.Mutex
	tree tree
	live bool
}

// entered notes that a run's first process lives in the slot.
func (s *slot) entered(pid int, mark string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live = true
	s.tree = tree{leader: pid, mark: mark, uid: s.uid}
	if s.leaf == nil {
		if p, ok := readProcess(pid); ok {
			s.tree.since = p.started
		}
	}
}

// kill begins the end of the run; wait sees it through.
func (s *slot) kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.live {
		return
	}
	if s.leaf != nil {
		s.leaf.kill()
		return
	}
	unix.Kill(-s.tree.leader, unix.SIGKILL)
	unix.Kill(s.tree.leader, unix.SIGKILL)
}

// wait waits for the run's first process, ends everything that it has left behind,
// and returns its status. It reports whether all are gone.
func (s *slot) wait() (status unix.WaitStatus, gone bool) {
	if s.leaf != nil {
		for {
			_, err := unix.Wait4(s.tree.leader, &status, 0, nil)
			if err != unix.EINTR {
				break
			}
		}
		s.left()
		return status, s.leaf.empty(settleTime)
	}
	// Until it is waited for, the number of the dead process is not used again: so
	// nothing but this run can be hit.
	begun := time.Now()
	for unix.Waitid(unix.P_PID, s.tree.leader, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
	s.left()
	unix.Kill(-s.tree.leader, unix.SIGKILL)
	candidates := processes
	if time.Since(begun) < time.Second {
		candidates = func() []int { return processesSince(s.tree.leader) }
	}
	gone = s.tree.kill(candidates, settleTime)
	for {
		_, err := unix.Wait4(s.tree.leader, &status, 0, nil)
		if err != unix.EINTR {
			return status, gone
		}
	}
}

// left notes that the first process is dead: what follows is clearing up.
func (s *slot) left() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live = false
}

// takeSlot returns a slot that nothing lives in.
func (a *agent) takeSlot() (*slot, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var s *slot
	if n := len(a.idle); n > 0 {
		s = a.idle[n-1]
		a.idle = a.idle[:n-1]
	} else {
		s = &slot{index: a.made}
		if a.local.ownUsers {
			uid, err := a.local.users.take()
			if err != nil {
				return nil, err
			}
			s.uid = uid
		}
		a.made++
	}
	if s.leaf == nil && a.local.group != nil {
		var err error
		if s.leaf, err = a.local.group.leaf(); err != nil {
			a.idle = append(a.idle, s)
			return nil, err
		}
	}
	return s, nil
}

// giveSlot takes a slot back once its run is over.
func (a *agent) giveSlot(s *slot) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s.leaf != nil && s.leaf.killed.Load() {
		s.leaf.close()
		s.leaf = nil
	}
	// While we are going down, what is unfinished stays on record for the next start.
	if !a.closed {
		record(a.records, s.index, "", 0, 0)
	}
	a.idle = append(a.idle, s)
}

// recordSize is the room of a slot in the node's list of directories in use.
const recordSize = 1024

// record notes on the node's disk that a slot uses a directory, so that after a
// kill -9 the next start knows what was unfinished. An empty path clears the line.
func record(file int, index int, path string, leader int, since uint64) {
	line := make([]byte, 0, 160)
	if path != "" {
		line = append(line, path...)
		line = append(line, ' ')
		line = strconv.AppendInt(line, int64(leader), 10)
		line = append(line, ' ')
		line = strconv.AppendUint(line, since, 10)
	}
	unix.Pwrite(file, append(line, '\n'), int64(index)*recordSize)
}

// A leftover is a line that a killed agent left.
type leftover struct {
	path   string
	leader int
	since  uint64
}

// leftovers reads the directories in use when an agent was killed.
func leftovers(file string) []leftover {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	var found []leftover
	for len(data) > 0 {
		chunk := data[:min(recordSize, len(data))]
		data = data[len(chunk):]
		line, _, ok := bytes.Cut(chunk, []byte("\n"))
		if !ok {
			continue
		}
		fields := strings.Fields(string(line))
		if len(fields) != 3 {
			continue
		}
		l := leftover{path: fields[0]}
		l.leader, _ = strconv.Atoi(fields[1])
		l.since, _ = strconv.ParseUint(fields[2], 10, 64)
		if err := l.check(); err == nil {
			found = append(found, l)
		}
	}
	return found
}

// check refuses a line that does not name a directory of a task: it will be deleted.
func (l leftover) check() error {
	if l.path == startupDir {
		return nil
	}
	parts := strings.Split(l.path, "/")
	if len(parts) == 4 && parts[0] == workitemsDir && parts[2] == firstRun {
		if _, err := taskPath(parts[1], parts[3]); err == nil {
			return nil
		}
	}
	return fmt.Errorf("%q is not the directory of a task", l.path)
}
