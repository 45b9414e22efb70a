package compute

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Where there are no control groups, the processes of a run are found by looking at
// all of them: those in its session, its children's children, those that carry its
// mark in their environment, and, if the run has a user of its own, that user's.

// markName is the environment variable that carries the mark.
const markName = "LATCHKEY_TREE"

// A tree says how the processes of one run are known.
type tree struct {
	// leader is the run's first process, which leads a session of its own.
	leader int
	// since is when the leader started, in the kernel's ticks; nothing older belongs.
	since uint64
	// mark is the value of the environment variable, uid the run's own user or 0.
	mark string
	uid  int
}

// A process is one line of the process table.
type process struct {
	pid, parent, session int
	started              uint64
	dead                 bool
}

// readProcess reads a process's line; it is false if there is no such process.
func readProcess(pid int) (process, bool) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return process{}, false
	}
	// The name is in parentheses and may have any character, these included.
	end := bytes.LastIndexByte(stat, ')')
	if end < 0 {
		return process{}, false
	}
	fields := strings.Fields(string(stat[end+1:]))
	if len(fields) < 20 {
		return process{}, false
	}
	p := process{pid: pid, dead: fields[0] == "Z" || fields[0] == "X"}
	p.parent, _ = strconv.Atoi(fields[1])
	p.session, _ = strconv.Atoi(fields[3])
	p.started, _ = strconv.ParseUint(fields[19], 10, 64)
	return p, true
}

// processes lists all processes.
func processes() []int {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	var pids []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// processesSince lists those that may have been made after pid, which has just
// ended: pids go up, so after a short life only the few between it and the newest.
func processesSince(pid int) []int {
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return processes()
	}
	fields := strings.Fields(string(load))
	newest, err := strconv.Atoi(fields[len(fields)-1])
	if err != nil || newest < pid || newest-pid > 200 {
		return processes()
	}
	pids := make([]int, 0, newest-pid)
	for p := pid + 1; p <= newest; p++ {
		pids = append(pids, p)
	}
	return pids
}

// members picks the run's living processes from candidates.
func (t *tree) members(candidates []int) []int {
	self := os.Getpid()
	table := map[int]process{}
	in := map[int]bool{t.leader: true}
	for _, pid := range candidates {
		if pid == self || pid == 1 {
			continue
		}
		p, ok := readProcess(pid)
		if !ok || p.dead || p.started < t.since {
			continue
		}
		table[pid] = p
		if p.session == t.leader || t.marked(pid) {
			in[pid] = true
		}
	}
	// Parents may come after their children in the list.
	for grown := true; grown; {
		grown = false
		for pid, p := range table {
			if !in[pid] && in[p.parent] {
				in[pid], grown = true, true
			}
		}
	}
	var found []int
	for pid := range in {
		if _, alive := table[pid]; alive {
			found = append(found, pid)
		}
	}
	return found
}

// marked reports whether a process carries the run's mark or has its user.
func (t *tree) marked(pid int) bool {
	dir := "/proc/" + strconv.Itoa(pid)
	if t.uid != 0 {
		var st unix.Stat_t
		if unix.Stat(dir, &st) == nil && int(st.Uid) == t.uid {
			return true
		}
	}
	env, err := os.ReadFile(dir + "/environ")
	return err == nil && t.mark != "" && hasVariable(env, markName+"="+t.mark)
}

func hasVariable(env []byte, variable string) bool {
	for v := range bytes.SplitSeq(env, []byte{0}) {
		if string(v) == variable {
			return true
		}
	}
	return false
}

// kill ends all processes of the run and reports whether none is left. The leader
// may be a zombie; its number is not used again until it is waited for.
func (t *tree) kill(candidates func() []int, patience time.Duration) bool {
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		found := t.members(candidates())
		if len(found) == 0 {
			return true
		}
		for _, pid := range found {
			unix.Kill(pid, unix.SIGKILL)
		}
		if time.Now().After(end) {
			return false
		}
	}
}

// killMarked ends every process whose mark begins with prefix, and their
// descendants: what a provider that was itself killed has left behind.
func killMarked(prefix string, patience time.Duration) bool {
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		found := map[int]bool{}
		all := processes()
		for _, pid := range all {
			env, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
			if err != nil {
				continue
			}
			for v := range bytes.SplitSeq(env, []byte{0}) {
				if strings.HasPrefix(string(v), markName+"="+prefix) {
					if p, ok := readProcess(pid); ok && !p.dead && pid != os.Getpid() {
						found[pid] = true
					}
				}
			}
		}
		if len(found) == 0 {
			return true
		}
		for pid := range found {
			t := tree{leader: pid}
			if p, ok := readProcess(pid); ok {
				t.since = p.started
			}
			for _, member := range t.members(all) {
				unix.Kill(member, unix.SIGKILL)
			}
			unix.Kill(pid, unix.SIGKILL)
		}
		if time.Now().After(end) {
			return false
		}
	}
}
