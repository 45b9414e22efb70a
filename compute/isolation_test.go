package compute_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"latchkey/compute"
)

// as says how an elevated task differs.
func elevated(s *compute.TaskSpec) { s.Elevated = true }

func TestTaskReachesOnlyItsOwn(t *testing.T) {
	t.Parallel()
	if !landlocked(t) {
		if os.Getenv("CI") == "true" {
			t.Fatal("this kernel has no Landlock, and in CI nothing is left out")
		}
		t.Skip("this kernel has no Landlock")
	}
	for name, how := range map[string]func(*compute.TaskSpec){"ordinary": func(*compute.TaskSpec) {}, "elevated": elevated} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			shown := filepath.Join(w.dir, "ca.pem")
			if err := os.WriteFile(shown, []byte("a certificate\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			w.stop()
			w.begin(func(c *compute.Config) { c.Show = []string{shown} })
			n, other := w.node("a1", "n1", 2), w.node("a2", "n2", 1)
			w.run(n, "before", "echo mine > file; chmod -R 777 .. ; ln -s "+w.secret+" link", how)
			w.run(other, "theirs", "echo theirs > file; chmod -R 777 ..; echo shared > $AZ_BATCH_NODE_SHARED_DIR/s", how)
			w.run(n, "share", "echo hello > $AZ_BATCH_NODE_SHARED_DIR/s", how)
			service := os.Getpid()
			task := func(ref compute.NodeRef, name string) string {
				return w.disk(ref) + "/workitems/job/job-1/" + name
			}
			refused := map[string]string{
				"the key":                         "cat " + w.secret,
				"the key through a link":          "ln -s " + w.secret + " l; cat l",
				"the key through /proc":           fmt.Sprintf("cat /proc/%d/root%s", service, w.secret),
				"the data directory":              "ls " + w.dir,
				"a new file beside the key":       "touch " + filepath.Dir(w.secret) + "/new",
				"another task of this node":       "cat " + task(n, "before") + "/wd/file",
				"another task's output":           "cat " + task(n, "before") + "/stdout.txt",
				"another account's task":          "cat " + task(other, "theirs") + "/wd/file",
				"another node's shared directory": "cat " + w.disk(other) + "/shared/s",
				"the list of tasks":               "ls " + w.disk(n) + "/workitems/job/job-1",
				"the agent's records":             "cat " + w.disk(n) + "/.agent/slots",
				"removing another task":           "rm -r " + task(n, "before"),
				"moving itself":                   "mv " + task(n, "$AZ_BATCH_TASK_ID") + " " + w.disk(n) + "/shared/x",
				"the service's environment":       fmt.Sprintf("cat /proc/%d/environ", service),
				"the service's memory":            fmt.Sprintf("dd if=/proc/%d/mem bs=1 count=1 skip=65536", service),
				"the service's memory map":        fmt.Sprintf("cat /proc/%d/maps", service),
				"the service's open files":        fmt.Sprintf("readlink /proc/%d/fd/0", service),
				"the service's threads' memory":   fmt.Sprintf("cat /proc/%d/task/*/environ", service),
				"signalling the service":          fmt.Sprintf("kill -0 %d", service),
				"a program's file":                "echo > /bin/sh",
				"the system's configuration":      "echo > /etc/latchkey-test",
				"a disk":                          "cat /dev/[svn]d[a-z] /dev/vda | head -c 1 | grep -q .",
				"privileges":                      "mount -t tmpfs none wd",
				"its control group":               "echo $$ > $(awk \"/ cgroup2 /{print \\$2}\" /proc/mounts | head -1)/cgroup.procs",
			}
			for what, script := range refused {
				id := strings.NewReplacer(" ", "-", "'", "", "/", "-").Replace(what)
				if res := w.run(n, id, script, how); res.ExitCode == 0 {
					t.Errorf("%s: %s was allowed; it printed %q", what, script, w.output(n, id, "stdout.txt"))
				}
			}
			allowed := map[string]string{
				"reading the system":      "cat /etc/passwd && ls /usr/bin /usr/lib",
				"its own directory":       "mkdir a && echo x > a/b && mv a/b c && cat c && rm -r a && echo y > ../beside && test -n \"$(ls ..)\"",
				"its shared directory":    "test \"$(cat $AZ_BATCH_NODE_SHARED_DIR/s)\" = hello && echo hi > $AZ_BATCH_NODE_SHARED_DIR/$AZ_BATCH_TASK_ID",
				"temporary files":         "f=$(mktemp) && echo x > $f && rm $f",
				"null and random":         "echo x > /dev/null && head -c 4 /dev/urandom > r && test -s r",
				"itself in /proc":         "cat /proc/self/environ /proc/self/maps && ls /proc/self/fd",
				"its children":            "sleep 100 & kill $!",
				"what is shown":           "cat " + shown,
				"its own program":         "cp /bin/true mine && ./mine",
				"a pipe and a process":    "echo x | cat | grep -q x",
				"a shell's here-document": "cat <<E\nx\nE",
			}
			for what, script := range allowed {
				id := strings.NewReplacer(" ", "-", "'", "", "/", "-").Replace(what)
				if res := w.run(n, id, script, how); res.ExitCode != 0 {
					t.Errorf("%s: %s exited %d: %s", what, script, res.ExitCode, w.output(n, id, "stderr.txt"))
				}
			}
		})
	}
}

func landlocked(t *testing.T) bool {
	t.Helper()
	w := setup(t)
	return strings.Contains(strings.Join(w.local.Isolation(), " "), "Landlock (version")
}

func TestTasksHaveNoCapabilities(t *testing.T) {
	t.Parallel()
	w := setup(t)
	n := w.node("a1", "n1", 1)
	for _, how := range []func(*compute.TaskSpec){func(*compute.TaskSpec) {}, elevated} {
		id := "t"
		w.change(func() { id = fmt.Sprint("t", len(w.results)) })
		w.run(n, id, "grep -E '^(CapPrm|CapEff|CapAmb|NoNewPrivs|Uid):' /proc/self/status", how)
		got := w.output(n, id, "stdout.txt")
		for _, line := range []string{"CapPrm:\t0000000000000000", "CapEff:\t0000000000000000", "CapAmb:\t0000000000000000", "NoNewPrivs:\t1"} {
			if !strings.Contains(got, line) {
				t.Errorf("status = %q, want %q", got, line)
			}
		}
		if strings.Contains(got, "Uid:\t0\t") {
			t.Errorf("%s has %q", id, got)
		}
	}
}

func TestIsolationSaysWhatIsInForce(t *testing.T) {
	t.Parallel()
	w := setup(t)
	say := w.local.Isolation()
	for _, s := range say {
		if !strings.HasSuffix(s, ".") {
			t.Errorf("%q is no sentence", s)
		}
		t.Log(s)
	}
	if len(say) < 3 {
		t.Errorf("only %d sentences", len(say))
	}
}

// TestWithoutRoot runs the tests of this package as a user without privileges.
func TestWithoutRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("they are being run so")
	}
	if testing.Short() {
		t.Skip("a whole run")
	}
	t.Parallel()
	dir := place(t)
	binary := filepath.Join(dir, "compute.test")
	// Copied by another process: a file that we have open for writing, and that some
	// child of ours has too until it has started its program, cannot be executed.
	if out, err := exec.Command("install", "-m", "755", os.Args[0], binary).CombinedOutput(); err != nil {
		t.Fatalf("copying the test: %v: %s", err, out)
	}
	tmp := filepath.Join(dir, "tmp")
	const nobody = 65534
	if err := errors.Join(os.Mkdir(tmp, 0o700), os.Chown(tmp, nobody, nobody)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "-test.v")
	cmd.Dir = tmp
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + tmp, "TMPDIR=" + tmp}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("as user %d: %v\n%s", nobody, err, out)
	}
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "--- SKIP") {
			t.Log(strings.TrimSpace(line))
		}
	}
}
