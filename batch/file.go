package batch

import (
	"context"
	"errors"
	"io"
	"os"

	"latchkey/compute"
	"latchkey/fault"
	"latchkey/identity"
	"latchkey/store"
)

// Files reaches the disks of nodes: *compute.Local.
type Files interface {
	TaskFiles(node compute.NodeRef, jobID, taskID string) (*compute.Files, error)
	NodeFiles(node compute.NodeRef) (*compute.Files, error)
}

// A Content is a file that was opened for reading.
type Content interface {
	io.ReadSeekCloser
}

// A Folder is what has files: the directory of a task, or the disk of a node.
type Folder struct {
	// JobID and TaskID, or PoolID and NodeID, name it.
	JobID, TaskID  string
	PoolID, NodeID string
}

// open finds the folder; the caller closes it.
func (s *Service) openFolder(ctx context.Context, who identity.Caller, acct Account, f Folder, write bool) (*compute.Files, error) {
	action := readPools
	switch {
	case f.JobID != "" && write:
		action = writeJobs
	case f.JobID != "":
		action = readJobs
	case write:
		action = writePools
	}
	if err := s.require(ctx, who, acct, action); err != nil {
		return nil, err
	}
	var at nodePlace
	var jobID, taskID string
	err := s.store.View(ctx, acct.Space, func(tx *store.Tx) error {
		if f.JobID == "" {
			_, n, err := lookNode(tx, f.PoolID, f.NodeID)
			if err == nil {
				at = nodePlace{acct.Space, n.r.Parent, n.r.ID}
			}
			return err
		}
		j, t, err := lookTask(tx, f.JobID, f.TaskID)
		if err != nil {
			return err
		}
		jobID, taskID = j.body.ID, t.body.ID
		if t.body.Node == (rid{}) {
			return fault.TaskFilesUnavailable.New("The task files are unavailable because the task has not run on a node.")
		}
		if _, err := node(tx, store.RID(t.body.Pool), store.RID(t.body.Node)); errors.Is(err, store.ErrNotFound) {
			return fault.TaskFilesCleanedUp.New("The task files went with the node that the task ran on.")
		} else if err != nil {
			return err
		}
		at = nodePlace{acct.Space, store.RID(t.body.Pool), store.RID(t.body.Node)}
		return nil
	})
	if err != nil {
		return nil, err
	}
	switch {
	case s.files == nil:
		return nil, fault.TaskFilesUnavailable.New("")
	case f.JobID != "":
		return s.files.TaskFiles(at.ref(), jobID, taskID)
	}
	return s.files.NodeFiles(at.ref())
}

// ListFiles lists what is in a folder; recursive lists what is below as well.
func (s *Service) ListFiles(ctx context.Context, who identity.Caller, acct Account, f Folder, recursive bool) ([]compute.File, error) {
	files, err := s.openFolder(ctx, who, acct, f, false)
	if err != nil {
		return nil, err
	}
	defer files.Close()
	return files.List("", recursive)
}

// StatFile describes a file or directory.
func (s *Service) StatFile(ctx context.Context, who identity.Caller, acct Account, f Folder, name string) (compute.File, error) {
	files, err := s.openFolder(ctx, who, acct, f, false)
	if err != nil {
		return compute.File{}, err
	}
	defer files.Close()
	return files.Stat(name)
}

// OpenFile opens a file for reading; the caller closes it. It can be read for as long
// as the account is not locked.
func (s *Service) OpenFile(ctx context.Context, who identity.Caller, acct Account, f Folder, name string) (Content, compute.File, error) {
	files, err := s.openFolder(ctx, who, acct, f, false)
	if err != nil {
		return nil, compute.File{}, err
	}
	defer files.Close()
	file, info, err := files.Open(name)
	if err != nil {
		return nil, info, err
	}
	return &lockable{file, func() error {
		return s.store.View(ctx, acct.Space, func(*store.Tx) error { return nil })
	}}, info, nil
}

// A lockable is a file that can be read while its account is not locked: a reader who
// takes his time must not go on for hours after the key is gone.
type lockable struct {
	file   *os.File
	opened func() error
}

// Read implements io.Reader.
func (l *lockable) Read(p []byte) (int, error) {
	if err := l.opened(); err != nil {
		return 0, err
	}
	return l.file.Read(p)
}

// Seek implements io.Seeker.
func (l *lockable) Seek(offset int64, whence int) (int64, error) { return l.file.Seek(offset, whence) }

// Close implements io.Closer.
func (l *lockable) Close() error { return l.file.Close() }

// RemoveFile removes a file, or with recursive a directory and all below it.
func (s *Service) RemoveFile(ctx context.Context, who identity.Caller, acct Account, f Folder, name string, recursive bool) error {
	files, err := s.openFolder(ctx, who, acct, f, true)
	if err != nil {
		return err
	}
	defer files.Close()
	return files.Remove(name, recursive)
}
