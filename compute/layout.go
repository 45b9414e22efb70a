package compute

import (
	"fmt"
	"path/filepath"
	"strings"
)

// The directories of a node's disk, as on Azure's Linux nodes. The agent's own
// directory is ours: no task may enter it and no listing shows it.
const (
	sharedDir    = "shared"
	startupDir   = "startup"
	workitemsDir = "workitems"
	agentDir     = ".agent"
	// firstRun is what Azure calls the directory of a job that was not scheduled by
	// a job schedule.
	firstRun = "job-1"
)

// plain reports whether name can stand as one element of a path: ids are checked by
// the service, and once more here, where a bad one would leave the disk.
func plain(name string) bool {
	return name != "" && len(name) <= 255 && name[0] != '.' && !strings.ContainsAny(name, "/\\\x00\n")
}

// diskPath returns the disk of a node, relative to the provider's directory.
func diskPath(ref NodeRef) (string, error) {
	if !plain(ref.Account) || !plain(ref.Pool) || !plain(ref.Node) {
		return "", fmt.Errorf("%q, %q, %q do not name a node", ref.Account, ref.Pool, ref.Node)
	}
	return filepath.Join(ref.Account, ref.Pool, ref.Node), nil
}

// taskPath returns the directory of a task, relative to its node's disk.
func taskPath(job, task string) (string, error) {
	if !plain(job) || !plain(task) {
		return "", fmt.Errorf("job %q and task %q do not name a directory", job, task)
	}
	return workitemsDir + "/" + job + "/" + firstRun + "/" + task, nil
}

// path returns the directory that d names, relative to the node's disk.
func (d TaskDir) path() (string, error) { return taskPath(d.JobID, d.TaskID) }
