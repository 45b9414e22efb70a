package compute_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"latchkey/compute"
)

func TestTaskEndsWithItsExitCode(t *testing.T) {
	t.Parallel()
	w := setup(t)
	n := w.node("a1", "n1", 2)
	for _, c := range []struct {
		task, script string
		code         int
	}{
		{"success", "exit 0", 0},
		{"seven", "exit 7", 7},
		{"terminated", "kill -TERM $$", 128 + 15},
		{"killed", "kill -KILL $$", 128 + 9},
	} {
		res := w.run(n, c.task, c.script)
		if res.ExitCode != c.code || res.Failure != nil || res.Stopped {
			t.Errorf("%s = %+v, want exit code %d", c.task, res, c.code)
		}
		if res.Started.IsZero() || res.Ended.Before(res.Started) || time.Since(res.Ended) > time.Minute {
			t.Errorf("%s ran from %v to %v", c.task, res.Started, res.Ended)
		}
	}
}

func TestOutputGoesToFiles(t *testing.T) {
	t.Parallel()
	w := setup(t)
	n := w.node("a1", "n1", 1)
	w.run(n, "t1", "echo out; echo err >&2; echo again > /dev/stdout; echo file > made.txt")
	if got := w.output(n, "t1", "stdout.txt"); got != "again\n" && got != "out\nagain\n" {
		t.Errorf("stdout.txt = %q", got)
	}
	if got := w.output(n, "t1", "stderr.txt"); got != "err\n" {
		t.Errorf("stderr.txt = %q, want %q", got, "err\n")
	}
	if got := w.output(n, "t1", "wd/made.txt"); got != "file\n" {
		t.Errorf("wd/made.txt = %q, want %q", got, "file\n")
	}
}

func TestTaskHasTheEnvironmentOfAzuresNodes(t *testing.T) {
	t.Parallel()
	w := setup(t, func(c *compute.Config) {
		c.TaskEnv = func(n compute.Node) []string { return []string{"HTTPS_PROXY=http://127.0.0.1:1", "PLACE=" + n.ID} }
	})
	n := w.node("a1", "n1", 1)
	w.run(n, "t1", "pwd; env", func(s *compute.TaskSpec) {
		s.Env = []compute.EnvVar{{Name: "MINE", Value: "a 'quoted' value"}, {Name: "PLACE", Value: "mine"}, {Name: "AZ_BATCH_NODE_ID", Value: "forged"}}
	})
	disk := w.disk(n)
	task := disk + "/workitems/job/job-1/t1"
	got := strings.Split(strings.TrimSpace(w.output(n, "t1", "stdout.txt")), "\n")
	if got[0] != task+"/wd" {
		t.Errorf("pwd = %q, want %q", got[0], task+"/wd")
	}
	have := map[string]string{}
	for _, line := range got[1:] {
		name, value, _ := strings.Cut(line, "=")
		have[name] = value
	}
	want := map[string]string{
		"AZ_BATCH_ACCOUNT_NAME": "a1", "AZ_BATCH_ACCOUNT_URL": "https://a1.example.net",
		"AZ_BATCH_POOL_ID": "Pool", "AZ_BATCH_NODE_ID": "tvm-n1", "AZ_BATCH_NODE_IS_DEDICATED": "true",
		"AZ_BATCH_NODE_ROOT_DIR": disk, "AZ_BATCH_NODE_SHARED_DIR": disk + "/shared", "AZ_BATCH_NODE_STARTUP_DIR": disk + "/startup",
		"AZ_BATCH_JOB_ID": "job", "AZ_BATCH_TASK_ID": "t1", "AZ_BATCH_TASK_USER": "_azbatch", "AZ_BATCH_TASK_USER_IDENTITY": "PoolNonAdmin",
		"AZ_BATCH_TASK_DIR": task, "AZ_BATCH_TASK_WORKING_DIR": task + "/wd", "AZ_BATCH_CERTIFICATES_DIR": task + "/certs",
		"HTTPS_PROXY": "http://127.0.0.1:1", "PLACE": "mine", "MINE": "a 'quoted' value", "HOME": task + "/wd", "TMPDIR": task,
	}
	for name, value := range want {
		if have[name] != value {
			t.Errorf("%s = %q, want %q", name, have[name], value)
		}
		delete(have, name)
	}
	for _, name := range []string{"PATH", "LANG", "PWD", "OLDPWD", "SHLVL", "_", "LATCHKEY_TREE"} {
		delete(have, name)
	}
	if len(have) > 0 {
		t.Errorf("the environment has more: %v", have)
	}
}

func TestCommandsAreNotRunByAShell(t *testing.T) {
	t.Parallel()
	w := setup(t)
	n := w.node("a1", "n1", 1)
	w.result(w.add(n, "t1", `printf %s\n $HOME "two words" 'it''s' a\ b "\"q\"" > x | y`))
	want := "$HOME\ntwo words\nits\na b\n\"q\"\n>\nx\n|\ny\n"
	if got := w.output(n, "t1", "stdout.txt"); got == want {
		t.Log("printf saw the words")
	} else if got != strings.ReplaceAll(want, "\n", "n") {
		t.Errorf("printf printed %q, want its arguments as they are", got)
	}
}

func TestWhatCannotStartSaysWhy(t *testing.T) {
	t.Parallel()
	w := setup(t)
	n := w.node("a1", "n1", 1)
	for _, c := range []struct{ task, command, code string }{
		{"no-such-program", "no-such-program --at all", "CommandProgramNotFound"},
		{"no-such-path", "/no/such/program", "CommandProgramNotFound"},
		{"not-executable", "/etc/passwd", "CommandLaunchFailed"},
		{"open-quote", "echo 'open", "CommandLaunchFailed"},
		{"empty", "  ", "CommandLaunchFailed"},
	} {
		res := w.result(w.add(n, c.task, c.command))
		if res.Failure == nil || res.Failure.Code != c.code || !res.Failure.User || !res.Started.IsZero() {
			t.Errorf("%s = %+v %+v, want failure %s", c.command, res, res.Failure, c.code)
		}
	}
}

func TestWallClockLimitKillsTheTree(t *testing.T) {
	t.Parallel()
	w := setup(t)
	n := w.node("a1", "n1", 1)
	begun := time.Now()
	res := w.run(n, "t1", "sleep 100 & sleep 100", func(s *compute.TaskSpec) { s.MaxWallClock = 300 * time.Millisecond })
	if res.Failure == nil || res.Failure.Code != "MaxWallClockTimeExceeded" || res.ExitCode != 137 {
		t.Errorf("result = %+v %+v, want MaxWallClockTimeExceeded and 137", res, res.Failure)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestResourceFilesAreFetched(t *testing.T) {
	t.Parallel()
	blobs := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/data":
			rw.Write([]byte("the data\n"))
		case "/script":
			rw.Write([]byte("#!/bin/sh\necho ran\n"))
		case "/denied":
			rw.WriteHeader(http.StatusForbidden)
		case "/broken":
			rw.WriteHeader(http.StatusInternalServerError)
		case "/cut":
			rw.Header().Set("Content-Length", "100")
			rw.Write([]byte("short"))
		default:
			rw.WriteHeader(http.StatusNotFound)
		}
	}))
	defer blobs.Close()
	w := setup(t)
	n := w.node("a1", "n1", 1)
	with := func(path, file, mode string) func(*compute.TaskSpec) {
		return func(s *compute.TaskSpec) {
			s.ResourceFiles = append(s.ResourceFiles, compute.ResourceFile{URL: blobs.URL + path, Path: file, Mode: mode})
		}
	}
	res := w.run(n, "fine", "cat in/deep/data.txt && ./run.sh && stat -c %a in/deep/data.txt && rm -r in", with("/data?sig=secret", "in/deep/data.txt", "0640"), with("/script", "run.sh", ""))
	if got := w.output(n, "fine", "stdout.txt"); res.ExitCode != 0 || got != "the data\nran\n640\n" {
		t.Errorf("exit code %d, output %q, errors %q", res.ExitCode, got, w.output(n, "fine", "stderr.txt"))
	}
	for _, c := range []struct {
		task, path, file, code string
		user                   bool
	}{
		{"missing", "/nothing?sig=secret", "x", "BlobNotFound", true},
		{"denied", "/denied?sig=secret", "x", "BlobAccessDenied", true},
		{"broken", "/broken?sig=secret", "x", "BlobDownloadMiscError", false},
		{"cut", "/cut?sig=secret", "x", "BlobDownloadMiscError", false},
		{"escapes", "/data?sig=secret", "../../x", "ResourceFileCreateFailed", true},
		{"absolute", "/data?sig=secret", "/tmp/x", "ResourceFileCreateFailed", true},
	} {
		res := w.run(n, c.task, "true", with(c.path, c.file, ""))
		if f := res.Failure; f == nil || f.Code != c.code || f.User != c.user || !res.Started.IsZero() {
			t.Errorf("%s = %+v %+v, want %s, user %v", c.task, res, res.Failure, c.code, c.user)
		} else if strings.Contains(f.Message+f.Details["Reason"]+f.Details["HttpUrl"], "secret") {
			t.Errorf("%s tells the signature: %+v", c.task, f)
		}
	}
}

func TestStoppedTaskReportsThatItWas(t *testing.T) {
	t.Parallel()
	w := setup(t)
	n := w.node("a1", "n1", 1)
	w.add(n, "t1", shell("echo $$ > pids; sleep 100"))
	pids := w.pids(n, "t1", "pids", 1)
	w.order(n, func(o *compute.Orders) { o.Stop = []string{"t1", "never-heard-of"} })
	res := w.result("t1")
	if !res.Stopped || res.Failure == nil || res.Failure.Code != "TaskEnded" {
		t.Errorf("result = %+v %+v, want it stopped", res, res.Failure)
	}
	w.dead(pids)
}

func TestMoreRunsThanSlotsWait(t *testing.T) {
	t.Parallel()
	w := setup(t)
	n := w.node("a1", "n1", 4)
	w.add(n, "wide", shell("sleep 0.2"), func(s *compute.TaskSpec) { s.Slots = 4 })
	w.add(n, "small1", shell("sleep 0.1"), func(s *compute.TaskSpec) { s.Slots = 2 })
	w.add(n, "small2", shell("sleep 0.1"), func(s *compute.TaskSpec) { s.Slots = 2 })
	wide, one, two := w.result("wide"), w.result("small1"), w.result("small2")
	if one.Started.Before(wide.Ended) || two.Started.Before(wide.Ended) {
		t.Errorf("small ones started at %v and %v, before the wide one ended at %v", one.Started, two.Started, wide.Ended)
	}
	if two.Started.After(one.Ended) {
		t.Errorf("the second small one started at %v, after the first ended at %v", two.Started, one.Ended)
	}
}

func TestRetentionRemovesTheDirectory(t *testing.T) {
	t.Parallel()
	w := setup(t)
	n := w.node("a1", "n1", 1)
	w.run(n, "short", "true", func(s *compute.TaskSpec) { s.Retention = time.Second })
	w.run(n, "long", "true", func(s *compute.TaskSpec) { s.Retention = time.Hour })
	dir := filepath.Join(w.disk(n), "workitems/job/job-1")
	if _, err := os.Stat(dir + "/short"); err != nil {
		t.Errorf("the directory went before its time: %v", err)
	}
	// It survives a restart of the service.
	w.stop()
	w.begin()
	w.until("the directory is gone", func() bool { _, err := os.Stat(dir + "/short"); return os.IsNotExist(err) })
	if _, err := os.Stat(dir + "/long"); err != nil {
		t.Errorf("the other directory went too: %v", err)
	}
}

func TestForgottenTaskLosesItsDirectory(t *testing.T) {
	t.Parallel()
	w := setup(t)
	n := w.node("a1", "n1", 1)
	w.run(n, "t1", "mkdir -p a/b && chmod 0 a")
	w.order(n, func(o *compute.Orders) {
		o.Forget = []compute.TaskDir{{JobID: "job", TaskID: "t1"}, {JobID: "..", TaskID: ".."}}
	})
	w.until("the job's directory is gone", func() bool {
		_, err := os.Stat(filepath.Join(w.disk(n), "workitems/job"))
		return os.IsNotExist(err)
	})
	if res := w.run(n, "t1", "echo again", func(s *compute.TaskSpec) { s.Run = "second" }); res.ExitCode != 0 {
		t.Errorf("the next run = %+v", res)
	}
}

func TestNamesCannotLeaveTheDisk(t *testing.T) {
	t.Parallel()
	w := setup(t)
	n := w.node("a1", "n1", 1)
	for _, id := range []string{"..", "../../../x", "a/b", ""} {
		res := w.run(n, "bad"+strings.ReplaceAll(id, "/", "-"), "true", func(s *compute.TaskSpec) { s.TaskID = id })
		if res.Failure == nil {
			t.Errorf("task id %q ran: %+v", id, res)
		}
	}
}
