package compute_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"latchkey/compute"
	"latchkey/fault"
)

func names(files []compute.File) []string {
	var list []string
	for _, f := range files {
		if f.Dir {
			list = append(list, f.Name+"/")
		} else {
			list = append(list, f.Name)
		}
	}
	return list
}

func TestFilesOfATask(t *testing.T) {
	t.Parallel()
	w := setup(t)
	n := w.node("a1", "n1", 1)
	begun := time.Now().Add(-time.Second)
	w.run(n, "t1", "mkdir -p d/e; printf 12345 > d/e/five; chmod 640 d/e/five; mkfifo pipe; ln -s d/e/five inside; ln -s "+w.secret+" outside; ln -s / up; ln -s . loop")
	files, err := w.local.TaskFiles(n, "job", "t1")
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()

	all, err := files.List("", true)
	want := []string{"stderr.txt", "stdout.txt", "wd/", "wd/d/", "wd/d/e/", "wd/d/e/five", "wd/inside"}
	if got := names(all); err != nil || !slices.Equal(got, want) {
		t.Errorf("List(all) = %q, %v; want %q", got, err, want)
	}
	top, err := files.List("/wd/", false)
	if got := names(top); err != nil || !slices.Equal(got, []string{"wd/d/", "wd/inside"}) {
		t.Errorf("List(wd) = %q, %v", got, err)
	}
	five, err := files.Stat("wd/d/e/five")
	if err != nil || five.Size != 5 || five.Mode != 0o640 || five.Dir || five.Modified.Before(begun) || five.Created.Before(begun) {
		t.Errorf("Stat(five) = %+v, %v", five, err)
	}
	if d, err := files.Stat("wd/d"); err != nil || !d.Dir || d.Size != 0 {
		t.Errorf("Stat(d) = %+v, %v", d, err)
	}
	f, info, err := files.Open("wd/inside")
	if err != nil || info.Size != 5 {
		t.Fatalf("Open(inside) = %+v, %v", info, err)
	}
	defer f.Close()
	if _, err := f.Seek(2, io.SeekStart); err != nil {
		t.Error(err)
	}
	if rest, err := io.ReadAll(f); err != nil || string(rest) != "345" {
		t.Errorf("read %q, %v", rest, err)
	}
	if _, _, err := files.Open("wd/d"); !errors.Is(err, fault.FileIsDirectory) {
		t.Errorf("Open(directory) = %v, want FileIsDirectory", err)
	}
	for _, name := range []string{"wd/nothing", "wd/outside", "wd/up/etc/passwd", "wd/pipe", "../t1/stdout.txt", "../../../../.agent/slots", "wd/d/e/five/x", "stdout.txt/..//../x", "a\x00b"} {
		if _, _, err := files.Open(name); !errors.Is(err, fault.FileNotFound) {
			t.Errorf("Open(%q) = %v, want FileNotFound", name, err)
		}
	}
	if _, err := files.List("wd/nothing", false); !errors.Is(err, fault.FileNotFound) {
		t.Errorf("List(nothing) = %v, want FileNotFound", err)
	}
	if err := files.Remove("wd/d", false); !errors.Is(err, fault.FileIsDirectory) {
		t.Errorf("Remove(full directory) = %v, want FileIsDirectory", err)
	}
	if err := errors.Join(files.Remove("wd/outside", false), files.Remove("wd/d", true)); err != nil {
		t.Errorf("Remove = %v", err)
	}
	if _, err := os.Stat(w.secret); err != nil {
		t.Errorf("the target of a link went with it: %v", err)
	}
	if err := files.Remove("", true); !errors.Is(err, fault.FileIsDirectory) {
		t.Errorf("Remove(root) = %v, want FileIsDirectory", err)
	}
}

func TestFilesThatAreNotThere(t *testing.T) {
	t.Parallel()
	w := setup(t)
	n := w.node("a1", "n1", 1)
	w.run(n, "t1", "true")
	gone := n
	gone.Node = "n2"
	for _, c := range []struct {
		ref       compute.NodeRef
		job, task string
		want      error
	}{
		{gone, "job", "t1", fault.TaskFilesUnavailable},
		{compute.NodeRef{Account: "..", Pool: "..", Node: ".."}, "job", "t1", fault.TaskFilesUnavailable},
		{n, "job", "never", fault.TaskFilesCleanedUp},
		{n, "..", "..", fault.TaskFilesUnavailable},
	} {
		if _, err := w.local.TaskFiles(c.ref, c.job, c.task); !errors.Is(err, c.want) {
			t.Errorf("TaskFiles(%v, %s, %s) = %v, want %v", c.ref, c.job, c.task, err, c.want)
		}
	}
	if err := w.local.RemoveTask(n, "job", "t1"); err != nil {
		t.Error(err)
	}
	if _, err := w.local.TaskFiles(n, "job", "t1"); !errors.Is(err, fault.TaskFilesCleanedUp) {
		t.Errorf("TaskFiles(removed) = %v, want TaskFilesCleanedUp", err)
	}
	if _, err := w.local.NodeFiles(gone); !errors.Is(err, fault.FileNotFound) {
		t.Errorf("NodeFiles(no disk) = %v, want FileNotFound", err)
	}
}

func TestFilesOfANodeDoNotShowOurs(t *testing.T) {
	t.Parallel()
	w := setup(t)
	n := w.node("a1", "n1", 1)
	w.run(n, "t1", "true")
	files, err := w.local.NodeFiles(n)
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	all, err := files.List("", true)
	want := []string{
		"shared/", "startup/", "workitems/", "workitems/job/", "workitems/job/job-1/", "workitems/job/job-1/t1/",
		"workitems/job/job-1/t1/stderr.txt", "workitems/job/job-1/t1/stdout.txt", "workitems/job/job-1/t1/wd/",
	}
	if got := names(all); err != nil || !slices.Equal(got, want) {
		t.Errorf("List = %q, %v; want %q", got, err, want)
	}
	for _, name := range []string{".agent", ".agent/slots", "shared/../.agent/slots", "../n1/.agent/slots"} {
		if _, err := files.Stat(name); !errors.Is(err, fault.FileNotFound) {
			t.Errorf("Stat(%s) = %v, want FileNotFound", name, err)
		}
	}
	if _, err := os.Stat(filepath.Join(w.disk(n), ".agent/slots")); err != nil {
		t.Errorf("there is nothing to hide: %v", err)
	}
}
