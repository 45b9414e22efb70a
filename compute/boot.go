package compute

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// newBoot returns a name for a start of an agent.
func newBoot() string { return rand.Text() }

// bootUp lays the disk out and opens what the runs of this boot share. With wipe the
// disk is emptied first.
func (a *agent) bootUp(wipe bool) error {
	if wipe {
		if err := removeContents(a.disk); err != nil {
			return err
		}
	}
	if err := a.local.makePassages(a.disk); err != nil {
		return fmt.Errorf("making a node's disk: %w", err)
	}
	for _, part := range []struct {
		name string
		mode os.FileMode
	}{{sharedDir, 0o777}, {startupDir, 0o755}, {workitemsDir, 0o711}, {agentDir, 0o700}, {agentDir + "/expiry", 0o700}} {
		path := filepath.Join(a.disk, part.name)
		if !a.local.ownUsers {
			part.mode = 0o700 // there is one user, and nobody else's business
		}
		if err := errors.Join(os.MkdirAll(path, part.mode), os.Chmod(path, part.mode)); err != nil {
			return fmt.Errorf("laying out a node's disk: %w", err)
		}
	}
	var err error
	if a.root, err = unix.Open(a.disk, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
		return fmt.Errorf("opening a node's disk: %w", err)
	}
	if a.records, err = unix.Open(filepath.Join(a.disk, agentDir, "slots"), unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_CLOEXEC, 0o600); err != nil {
		return fmt.Errorf("opening a node's records: %w", err)
	}
	if a.local.landlock.version > 0 {
		if a.scope, err = newScope(a.log, a.local.hidden, a.local.shown); err != nil {
			return err
		}
		for name, rights := range map[string]uint64{sharedDir: mayRead | mayChange, startupDir: mayRead} {
			fd, err := unix.Open(filepath.Join(a.disk, name), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
			if err != nil {
				return fmt.Errorf("opening a node's %s directory: %w", name, err)
			}
			a.common = append(a.common, rule{fd, rights})
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	var more []string
	if a.local.taskEnv != nil {
		more = a.local.taskEnv(a.node)
	}
	a.env = nodeEnv(a.node, a.disk, more)
	a.boot = newBoot()
	task := a.node.StartTask
	a.start = startTask{needed: task != nil, ready: task == nil || !task.WaitForSuccess}
	return nil
}

// makePassages makes the directories from the provider's own down to path.
func (l *Local) makePassages(path string) error {
	if path == l.dir {
		return nil
	}
	if err := l.makePassages(filepath.Dir(path)); err != nil {
		return err
	}
	return l.makePassage(path)
}

// makePassage makes a directory that tasks' users may pass through but not list,
// whatever the umask.
func (l *Local) makePassage(path string) error {
	mode := os.FileMode(0o700)
	if l.ownUsers {
		mode = 0o711
	}
	err := os.Mkdir(path, mode)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err == nil {
		err = os.Chmod(path, mode)
	}
	return err
}

// bootUntil boots until it works or ctx ends.
func (a *agent) bootUntil(ctx context.Context, wipe bool) bool {
	for ctx.Err() == nil {
		err := a.bootUp(wipe)
		if err == nil {
			return true
		}
		a.closeBoot()
		a.log.Error("booting a node", "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Second):
		}
	}
	return false
}

// closeBoot gives back what bootUp opened; nothing may be running.
func (a *agent) closeBoot() {
	if a.scope != nil {
		a.scope.close()
	}
	for _, r := range a.common {
		unix.Close(r.fd)
	}
	unix.Close(a.root)
	unix.Close(a.records)
	a.scope, a.common, a.root, a.records = nil, nil, -1, -1
}

// restart ends everything and boots again.
func (a *agent) restart(ctx context.Context, wipe bool) {
	a.mu.Lock()
	a.haltAll(true)
	a.mu.Unlock()
	a.working.Wait()
	a.closeBoot()
	a.bootUntil(ctx, wipe)
}

// A startTask is how far the node's start task has come.
type startTask struct {
	// needed says that it must still run, ready that tasks may.
	needed, ready bool
	active        *run
	result        *Result
}

func (s *startTask) running() bool { return s.active != nil }

// halt kills the start task; it runs again after the next answered poll.
func (s *startTask) halt() {
	if s.active != nil {
		s.active.dropped, s.active.discard = true, true
		s.active.halt(stopDropped)
	}
}

// retryPause lies between two attempts of a start task.
const retryPause = 200 * time.Millisecond

// startStartTask starts the start task if it is still due; a.mu is held.
func (a *agent) startStartTask() {
	task := a.node.StartTask
	if !a.start.needed || a.start.active != nil || a.closed || task == nil {
		return
	}
	spec := TaskSpec{
		Run: "start." + a.boot, CommandLine: task.CommandLine, Env: task.Env,
		ResourceFiles: task.ResourceFiles, Elevated: task.Elevated,
	}
	attempt := func() *run {
		a.start.active = &run{spec: spec, path: startupDir}
		return a.start.active
	}
	r := attempt()
	a.working.Add(1)
	go func() {
		defer a.working.Done()
		for left := task.MaxRetries; ; left-- {
			res := a.execute(r)
			a.mu.Lock()
			worked := res.Failure == nil && res.ExitCode == 0
			// Only what ran and failed is tried again, as with any task.
			if !r.dropped && (worked || res.Started.IsZero() || left == 0) {
				a.start = startTask{ready: a.start.ready || worked, result: &res}
				a.nudge()
				a.mu.Unlock()
				return
			}
			dropped := r.dropped
			a.mu.Unlock()
			if !dropped {
				time.Sleep(retryPause)
			}
			a.mu.Lock()
			if r.dropped {
				a.start.active = nil
				a.mu.Unlock()
				return
			}
			r = attempt()
			a.mu.Unlock()
		}
	}()
}
