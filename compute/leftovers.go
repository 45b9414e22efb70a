package compute

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// groupsFile lists the control groups that this provider has made, so that a later
// start finds them although it may live in another place itself.
const groupsFile = ".groups"

// remember writes down the control group before anything is started in it; none is
// an empty line.
func (l *Local) remember(group string) error {
	if err := os.WriteFile(filepath.Join(l.dir, groupsFile), []byte(group+"\n"), 0o600); err != nil {
		return fmt.Errorf("noting the control group: %w", err)
	}
	return nil
}

// clean ends what a provider that was killed has left running, removes the
// directories of its unfinished runs, and finishes its removals. It ends nothing
// that is not proven ours: a group of our name that we wrote down, a process that
// carries our mark, or one whose number and time of birth we wrote down.
func (l *Local) clean() error {
	const patience = 5 * time.Second
	groups, err := os.ReadFile(filepath.Join(l.dir, groupsFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading the control groups of the last start: %w", err)
	}
	for line := range strings.Lines(string(groups)) {
		dir := strings.TrimSuffix(line, "\n")
		if filepath.Base(dir) != "latchkey-"+l.mark {
			continue
		}
		if err := killCgroup(dir, patience); err != nil {
			l.log.Error("ending what the last start left", "error", err)
		}
	}
	if l.group != nil {
		if err := os.Mkdir(l.group.dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("making a control group: %w", err)
		}
	}
	for _, ref := range l.disks() {
		path, _ := diskPath(ref)
		l.cleanDisk(filepath.Join(l.dir, path), patience)
	}
	if len(bytes.TrimSpace(groups)) == 0 && !killMarked(l.mark+".", patience) {
		l.log.Error("ending what the last start left: some processes do not end")
	}
	entries, _ := os.ReadDir(filepath.Join(l.dir, trash))
	for _, e := range entries {
		l.empty(filepath.Join(l.dir, trash, e.Name()))
	}
	return nil
}

// cleanDisk ends the runs that were going on when a node's agent was killed, and
// removes their directories: nobody will ask for them again.
func (l *Local) cleanDisk(disk string, patience time.Duration) {
	file := filepath.Join(disk, agentDir, "slots")
	unfinished := leftovers(file)
	for _, left := range unfinished {
		if left.leader <= 1 {
			continue
		}
		if p, ok := readProcess(left.leader); ok && p.started == left.since {
			t := tree{leader: left.leader, since: left.since}
			t.kill(processes, patience)
		}
	}
	for _, left := range unfinished {
		if err := removeTree(filepath.Join(disk, left.path)); err != nil {
			l.log.Error("removing the directory of an unfinished task", "error", err)
		}
	}
	if len(unfinished) > 0 {
		unix.Truncate(file, 0)
	}
}
