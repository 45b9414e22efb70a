package compute

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A Config says what a local provider works with.
type Config struct {
	// Dir is where the nodes' disks are. It is made if it does not exist.
	Dir string
	// Source has the work.
	Source Source
	// Logger is told what an operator should know; nil means slog's default.
	Logger *slog.Logger
	// Hide are paths that no task may read, such as the data directory. Dir may lie
	// below one of them: a task reaches its own part of it all the same.
	Hide []string
	// Show are files or directories that tasks may read although they lie below a
	// hidden path, such as a bundle of certificates. They are opened when a node
	// boots.
	Show []string
	// TaskEnv adds NAME=value variables to the environment of a node's tasks; nil
	// adds none. It is asked when the node boots.
	TaskEnv func(Node) []string
	// HTTP fetches resource files; nil means a client of our own.
	HTTP *http.Client
	// FirstUser is the first user and group id that tasks get when the service is
	// root; zero means DefaultFirstUser. Each slot in use takes the next one.
	FirstUser int
}

// DefaultFirstUser is where the tasks' users begin. There is nobody's account from
// there on, on common systems.
const DefaultFirstUser = 60000

// A Local supplies nodes inside this process.
type Local struct {
	dir      string
	source   Source
	log      *slog.Logger
	hidden   []string
	shown    []string
	taskEnv  func(Node) []string
	http     *http.Client
	null     int
	landlock landlock
	group    *cgroup
	// mark begins the marks of our process trees.
	mark     string
	ownUsers bool
	users    users
	// noGroup and noUsers say why something is not in force, for Isolation.
	noGroup, noUsers error

	removing sync.WaitGroup
}

// NewLocal prepares a provider. It makes Dir, closes this process's memory to other
// processes of its user, and starts nothing.
func NewLocal(c Config) (*Local, error) {
	if c.Dir == "" || c.Source == nil {
		return nil, errors.New("a local provider needs a directory and a source")
	}
	l := &Local{source: c.Source, log: c.Logger, taskEnv: c.TaskEnv, http: c.HTTP, landlock: kernelLandlock()}
	if l.log == nil {
		l.log = slog.Default()
	}
	if l.http == nil {
		l.http = &http.Client{Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, ResponseHeaderTimeout: time.Minute, TLSHandshakeTimeout: 20 * time.Second,
			MaxIdleConnsPerHost: 8, IdleConnTimeout: 30 * time.Second,
		}}
	}
	if err := os.MkdirAll(c.Dir, 0o711); err != nil {
		return nil, fmt.Errorf("making the nodes' directory: %w", err)
	}
	var err error
	if l.dir, err = realPath(c.Dir); err != nil {
		return nil, fmt.Errorf("finding the nodes' directory: %w", err)
	}
	for _, path := range append([]string{l.dir}, c.Hide...) {
		real, err := realPath(path)
		if err != nil {
			return nil, fmt.Errorf("hiding %s: %w", path, err)
		}
		l.hidden = append(l.hidden, real)
	}
	l.shown = c.Show
	if l.null, err = unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
		return nil, fmt.Errorf("opening %s: %w", os.DevNull, err)
	}
	if err := closeMemory(); err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(l.dir))
	l.mark = hex.EncodeToString(sum[:8])
	if l.group, l.noGroup = openCgroup("latchkey-" + l.mark); l.group != nil {
		os.Remove(l.group.dir) // Run makes it again; what is in use stays
	}
	l.users.first = c.FirstUser
	if l.users.first == 0 {
		l.users.first = DefaultFirstUser
	}
	l.noUsers = l.probeUsers()
	l.ownUsers = l.noUsers == nil
	return l, nil
}

// closeMemory keeps other processes of the same user, and so a task that has it, out
// of our memory and environment, and keeps both out of core files.
func closeMemory() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("closing the process's memory: %w", err)
	}
	var core unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &core); err == nil {
		core.Cur = 0 // tasks inherit it and may raise it for themselves
		unix.Setrlimit(unix.RLIMIT_CORE, &core)
	}
	return nil
}

// Run supplies nodes until ctx ends; then it kills everything that runs on them and
// returns nil.
func (l *Local) Run(ctx context.Context) error {
	if err := l.clean(); err != nil {
		return err
	}
	group := ""
	if l.group != nil {
		group = l.group.dir
		defer l.group.remove()
	}
	if err := l.remember(group); err != nil {
		return err
	}
	defer l.finishRemovals()
	agents := map[NodeRef]*supplied{}
	defer func() {
		for _, s := range agents {
			s.cancel()
		}
		for _, s := range agents {
			<-s.done
		}
	}()
	pause := firstPause
	for seen := uint64(0); ctx.Err() == nil; {
		fleet, err := l.source.Nodes(ctx, seen)
		if err != nil {
			if ctx.Err() != nil {
				break
			}
			l.log.Warn("asking for nodes", "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
			pause = min(2*pause, longestPause)
			continue
		}
		pause = firstPause
		l.supply(ctx, agents, fleet)
		seen = fleet.Version
	}
	return nil
}

// A supplied is a node whose agent runs.
type supplied struct {
	agent  *agent
	cancel context.CancelFunc
	done   chan struct{}
}

// supply makes the nodes be those of fleet.
func (l *Local) supply(ctx context.Context, agents map[NodeRef]*supplied, fleet Fleet) {
	locked := map[string]bool{}
	for _, account := range fleet.Locked {
		locked[account] = true
	}
	wanted := map[NodeRef]bool{}
	for _, node := range fleet.Nodes {
		wanted[node.Ref] = true
	}
	var leaving []*supplied
	for ref, s := range agents {
		if !wanted[ref] && !locked[ref.Account] {
			s.cancel()
			leaving = append(leaving, s)
			delete(agents, ref)
		}
	}
	for _, s := range leaving {
		<-s.done
	}
	l.removeDisks(wanted, locked)
	for _, node := range fleet.Nodes {
		if s := agents[node.Ref]; s != nil {
			s.agent.update(node)
			continue
		}
		a, err := l.newAgent(node)
		if err != nil {
			l.log.Error("supplying a node", "error", err)
			continue
		}
		ctx, cancel := context.WithCancel(ctx)
		s := &supplied{agent: a, cancel: cancel, done: make(chan struct{})}
		agents[node.Ref] = s
		go func() {
			defer close(s.done)
			a.run(ctx)
		}()
	}
}

// removeDisks removes the disks of nodes that are neither wanted nor of a locked
// account. Away at once, gone when it is done.
func (l *Local) removeDisks(wanted map[NodeRef]bool, locked map[string]bool) {
	for _, ref := range l.disks() {
		if !wanted[ref] && !locked[ref.Account] {
			if err := l.RemoveNode(ref); err != nil {
				l.log.Error("removing a node's disk", "error", err)
			}
		}
	}
}

// disks lists the nodes that have a disk.
func (l *Local) disks() []NodeRef {
	var refs []NodeRef
	paths, _ := filepath.Glob(filepath.Join(l.dir, "*", "*", "*"))
	for _, path := range paths {
		parts := strings.Split(strings.TrimPrefix(path, l.dir+"/"), "/")
		ref := NodeRef{Account: parts[0], Pool: parts[1], Node: parts[2]}
		if _, err := diskPath(ref); err == nil {
			refs = append(refs, ref)
		}
	}
	return refs
}

// trash is where disks go that take long to remove.
const trash = ".removed"

// RemoveNode removes the disk of a node that has no agent any more.
func (l *Local) RemoveNode(ref NodeRef) error {
	path, err := diskPath(ref)
	if err != nil {
		return err
	}
	bin := filepath.Join(l.dir, trash)
	if err := os.MkdirAll(bin, 0o700); err != nil {
		return fmt.Errorf("removing a disk: %w", err)
	}
	gone := filepath.Join(bin, newBoot())
	if err := os.Rename(filepath.Join(l.dir, path), gone); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return fmt.Errorf("removing a disk: %w", err)
	}
	os.Remove(filepath.Join(l.dir, ref.Account, ref.Pool)) // if it was the last
	os.Remove(filepath.Join(l.dir, ref.Account))
	l.empty(gone)
	return nil
}

// empty removes a disk that nothing refers to any more, in the background.
func (l *Local) empty(disk string) {
	l.removing.Go(func() {
		if err := removeTree(disk); err != nil {
			l.log.Error("removing a disk", "error", err)
		}
	})
}

// finishRemovals waits a little for disks that are being removed. What is not gone
// by then goes at the next start.
func (l *Local) finishRemovals() {
	done := make(chan struct{})
	go func() {
		l.removing.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(time.Second):
	}
}
