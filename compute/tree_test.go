package compute_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"latchkey/compute"
)

// detach starts processes in every way in which one can leave its parent, and
// writes their numbers into pids: a child, one in a session of its own, one that was
// forked twice, one without an environment.
const detach = `
sleep 1000 & echo $! > list
setsid sh -c "echo \$\$ >> list; exec sleep 1000" &
(setsid sh -c "sh -c \"echo \\\$\\\$ >> list; exec sleep 1000\" & exit" &)
env -i PATH="$PATH" sh -c "echo \$\$ >> list; exec sleep 1000" &
while [ $(wc -l < list) -lt 4 ]; do sleep 0.01; done
mv list pids
`

func TestStopKillsTheWholeTree(t *testing.T) {
	t.Parallel()
	w := setup(t)
	n := w.node("a1", "n1", 1)
	w.add(n, "t1", shell(detach+"sleep 1000"))
	pids := w.pids(n, "t1", "pids", 4)
	w.order(n, func(o *compute.Orders) { o.Stop = []string{"t1"} })
	w.result("t1")
	for _, pid := range pids {
		if alive(pid) {
			t.Errorf("process %d outlived its task", pid)
		}
	}
}

func TestWhatATaskLeavesBehindIsKilled(t *testing.T) {
	t.Parallel()
	w := setup(t)
	n := w.node("a1", "n1", 1)
	res := w.run(n, "t1", detach+"cat pids; exit 3")
	if res.ExitCode != 3 {
		t.Errorf("exit code = %d, want 3", res.ExitCode)
	}
	left := strings.Fields(w.output(n, "t1", "stdout.txt"))
	if len(left) != 4 {
		t.Fatalf("the task started %v, want 4 processes", left)
	}
	for _, field := range left {
		var pid int
		fmt.Sscan(field, &pid)
		if alive(pid) {
			t.Errorf("process %d outlived its task", pid)
		}
	}
}

func TestStoppingTheProviderKillsEverything(t *testing.T) {
	t.Parallel()
	w := setup(t)
	n := w.node("a1", "n1", 1)
	w.add(n, "t1", shell(detach+"sleep 1000"))
	pids := w.pids(n, "t1", "pids", 4)
	w.stop()
	for _, pid := range pids {
		if alive(pid) {
			t.Errorf("process %d outlived the provider", pid)
		}
	}
	w.begin()
	w.until("the unfinished run starts again", func() bool { _, running := w.nodes[n].leased["t1'"]; return running })
}

func TestVanishedNodeLosesItsTasksAndItsDisk(t *testing.T) {
	t.Parallel()
	w := setup(t)
	n, other := w.node("a1", "n1", 1), w.node("a1", "n2", 1)
	w.run(other, "kept", "true")
	w.add(n, "t1", shell(detach+"sleep 1000"))
	pids := w.pids(n, "t1", "pids", 4)
	w.change(func() { delete(w.nodes, n); w.version++ })
	w.dead(pids)
	w.until("the disk is gone", func() bool { _, err := os.Stat(w.disk(n)); return os.IsNotExist(err) })
	w.output(other, "kept", "stdout.txt")
}

func TestLockedAccountStopsAndLosesWhatIsUnfinished(t *testing.T) {
	t.Parallel()
	w := setup(t)
	n := w.node("a1", "n1", 2)
	w.run(n, "finished", "echo kept")
	w.add(n, "t1", shell(detach+"sleep 1000"))
	pids := w.pids(n, "t1", "pids", 4)
	boot := w.nodes[n].report.Boot
	w.change(func() { w.shut = true; w.locked = []string{"a1"}; w.version++ })
	w.dead(pids)
	dir := filepath.Join(w.disk(n), "workitems/job/job-1")
	w.until("the unfinished run's directory is gone", func() bool { _, err := os.Stat(dir + "/t1"); return os.IsNotExist(err) })
	if got := w.output(n, "finished", "stdout.txt"); got != "kept\n" {
		t.Errorf("the finished task's output = %q", got)
	}
	// Also across a restart, when the account is only a name.
	w.stop()
	w.begin()
	time.Sleep(300 * time.Millisecond)
	if got := w.output(n, "finished", "stdout.txt"); got != "kept\n" {
		t.Errorf("after a restart the finished task's output = %q", got)
	}
	w.change(func() { w.shut = false; w.locked = nil; w.version++ })
	w.pids(n, "t1", "pids", 4)
	if now := w.nodes[n].report.Boot; now == boot {
		t.Error("the node says that it never stopped")
	}
}

func TestLapsedLeaseKillsEverything(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.lease = 500 * time.Millisecond
	n := w.node("a1", "n1", 1)
	w.add(n, "t1", shell(detach+"sleep 1000"))
	pids := w.pids(n, "t1", "pids", 4)
	w.change(func() { w.down = true })
	w.dead(pids)
	w.change(func() { w.down = false; w.lease = time.Minute })
	w.pids(n, "t1", "pids", 4)
}

func TestResultsOutliveAnOutage(t *testing.T) {
	t.Parallel()
	w := setup(t)
	n := w.node("a1", "n1", 4)
	for i := range 4 {
		w.add(n, fmt.Sprint("t", i), shell(fmt.Sprintf("echo $$ >> pids; while [ ! -e %s/shared/go ]; do sleep 0.01; done; exit %d", w.disk(n), i)))
		w.pids(n, fmt.Sprint("t", i), "pids", 1)
	}
	w.change(func() { w.down = true })
	if err := os.WriteFile(filepath.Join(w.disk(n), "shared/go"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	time.Sleep(500 * time.Millisecond)
	w.change(func() { w.down = false })
	for i := range 4 {
		if res := w.result(fmt.Sprint("t", i)); res.ExitCode != i || res.Started.IsZero() {
			t.Errorf("t%d = %+v, want exit code %d", i, res, i)
		}
		if got := strings.Fields(w.output(n, fmt.Sprint("t", i), "wd/pids")); len(got) != 1 {
			t.Errorf("t%d ran %d times", i, len(got))
		}
	}
}

func TestRestartBootsAgain(t *testing.T) {
	t.Parallel()
	w := setup(t)
	n := w.node("a1", "n1", 1, &compute.StartTask{CommandLine: shell("echo up >> $AZ_BATCH_NODE_SHARED_DIR/boots"), WaitForSuccess: true})
	w.run(n, "t0", "true")
	w.add(n, "t1", shell(detach+"sleep 1000"))
	pids := w.pids(n, "t1", "pids", 4)
	w.order(n, func(o *compute.Orders) { o.Restart = true })
	w.dead(pids)
	w.pids(n, "t1", "pids", 4)
	if data, _ := os.ReadFile(filepath.Join(w.disk(n), "shared/boots")); string(data) != "up\nup\n" {
		t.Errorf("the start task wrote %q, want two boots", data)
	}
	w.order(n, func(o *compute.Orders) { o.Restart, o.Wipe = true, true })
	w.until("the disk was emptied", func() bool {
		data, _ := os.ReadFile(filepath.Join(w.disk(n), "shared/boots"))
		return string(data) == "up\n"
	})
	if _, err := os.Stat(filepath.Join(w.disk(n), "workitems/job/job-1/t0")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a task's directory survived: %v", err)
	}
}

func TestStartTaskDecidesWhetherTheNodeIsReady(t *testing.T) {
	t.Parallel()
	w := setup(t)
	retry := w.node("a1", "retry", 1, &compute.StartTask{
		CommandLine: shell("echo x >> $AZ_BATCH_NODE_SHARED_DIR/tries; [ $(wc -l < $AZ_BATCH_NODE_SHARED_DIR/tries) -ge 3 ] && echo ready > tool"),
		MaxRetries:  2, WaitForSuccess: true,
	})
	failing := w.node("a1", "failing", 1, &compute.StartTask{CommandLine: shell("exit 9"), MaxRetries: 1, WaitForSuccess: true})
	careless := w.node("a1", "careless", 1, &compute.StartTask{CommandLine: "no-such-program", MaxRetries: 5})
	res := w.run(retry, "t1", "cat $AZ_BATCH_NODE_STARTUP_DIR/wd/tool; echo > $AZ_BATCH_NODE_STARTUP_DIR/wd/tool")
	if got := w.output(retry, "t1", "stdout.txt"); got != "ready\n" || res.ExitCode == 0 {
		t.Errorf("the task read %q from the start task and exited %d; want it readable and not writable", got, res.ExitCode)
	}
	if res := w.run(careless, "t2", "true"); res.ExitCode != 0 {
		t.Errorf("result = %+v", res)
	}
	w.until("both failures are told", func() bool {
		f, c := w.nodes[failing].report, w.nodes[careless].report
		return f.Started != nil && c.Started != nil && !f.Ready && c.Ready &&
			f.Started.ExitCode == 9 && c.Started.Failure != nil && c.Started.Failure.Code == "CommandProgramNotFound"
	})
}

// TestKilledProvider is not a test by itself: it is the process that
// TestWhatAKilledProviderLeftIsKilled kills.
func TestKilledProvider(t *testing.T) {
	dir := os.Getenv("COMPUTE_TEST_DIR")
	if dir == "" {
		t.Skip("only as a child of another test")
	}
	w := &world{t: t, dir: dir, service: newService()}
	w.begin()
	n := w.node("a1", "n1", 2)
	w.run(n, "finished", "echo kept")
	w.add(n, "t1", shell(detach+"sleep 1000"))
	pids := w.pids(n, "t1", "pids", 4)
	json.NewEncoder(os.Stdout).Encode(pids)
	time.Sleep(time.Hour)
}

func TestWhatAKilledProviderLeftIsKilled(t *testing.T) {
	t.Parallel()
	for name, locked := range map[string][]string{"usable account": nil, "locked account": {"a1"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &world{t: t, dir: place(t), service: newService()}
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			defer cancel()
			cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestKilledProvider$")
			cmd.Env = append(os.Environ(), "COMPUTE_TEST_DIR="+w.dir)
			cmd.Stderr = os.Stderr
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			var pids []int
			if err := json.NewDecoder(out).Decode(&pids); err != nil {
				t.Fatal(err)
			}
			bystander := exec.Command("sleep", "1000")
			if err := bystander.Start(); err != nil {
				t.Fatal(err)
			}
			defer bystander.Wait()
			defer bystander.Process.Kill()
			cmd.Process.Signal(syscall.SIGKILL)
			cmd.Wait()
			for _, pid := range pids {
				if !alive(pid) {
					t.Errorf("process %d died with the provider; the test shows nothing", pid)
				}
			}
			w.locked = locked
			n := compute.NodeRef{Account: "a1", Pool: "p1", Node: "n1"}
			if locked == nil {
				n = w.node("a1", "n1", 1)
			}
			w.begin()
			w.dead(pids)
			w.until("the unfinished run's directory is gone", func() bool {
				_, err := os.Stat(filepath.Join(w.disk(n), "workitems/job/job-1/t1"))
				return os.IsNotExist(err)
			})
			if got := w.output(n, "finished", "stdout.txt"); got != "kept\n" {
				t.Errorf("the finished task's output = %q", got)
			}
			if !alive(bystander.Process.Pid) {
				t.Error("a process that was not ours was killed")
			}
		})
	}
}
