package compat

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"math/big"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/batch/azbatch"
)

// A bench is a Batch account with a client for its data plane.
type bench struct {
	*world
	*azbatch.Client
	account, principal string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	w := newWorld(t)
	a := w.account()
	c, err := azbatch.NewClient("https://"+*a.Properties.AccountEndpoint, w.credential, &azbatch.ClientOptions{})
	ok(t, err)
	return &bench{w, c, *a.Name, *a.Identity.PrincipalID}
}

// pool makes the pool p and waits for its nodes.
func (b *bench) pool(nodes int32) []azbatch.Node {
	b.Helper()
	_, err := b.CreatePool(b.Context(), azbatch.CreatePoolContent{
		ID: to.Ptr("p"), VMSize: to.Ptr("STANDARD_D2S_V3"), TargetDedicatedNodes: &nodes, TaskSlotsPerNode: to.Ptr[int32](2),
		VirtualMachineConfiguration: &azbatch.VirtualMachineConfiguration{
			ImageReference: &azbatch.ImageReference{
				Publisher: to.Ptr("canonical"), Offer: to.Ptr("0001-com-ubuntu-server-jammy"), SKU: to.Ptr("22_04-lts"), Version: to.Ptr("latest"),
			},
			NodeAgentSKUID: to.Ptr("batch.node.ubuntu 22.04"),
		},
	}, nil)
	ok(b, err)
	return b.nodes(nodes)
}

// nodes waits until the pool p is steady and has so many idle nodes.
func (b *bench) nodes(count int32) (all []azbatch.Node) {
	b.Helper()
	eventually(b, fmt.Sprintf("the pool has %d idle nodes", count), func() bool {
		p, err := b.GetPool(b.Context(), "p", nil)
		ok(b, err)
		all = nil
		for _, page := range pages(b, b.NewListNodesPager("p", nil)) {
			for _, n := range page.Value {
				if *n.State == azbatch.NodeStateIdle {
					all = append(all, n)
				}
			}
		}
		return *p.AllocationState == azbatch.AllocationStateSteady && *p.CurrentDedicatedNodes == count && len(all) == int(count)
	})
	return all
}

// job makes the job j on the pool p.
func (b *bench) job() {
	b.Helper()
	_, err := b.CreateJob(b.Context(), azbatch.CreateJobContent{
		ID: to.Ptr("j"), PoolInfo: &azbatch.PoolInfo{PoolID: to.Ptr("p")}, Constraints: &azbatch.JobConstraints{MaxTaskRetryCount: to.Ptr[int32](2)},
	}, nil)
	ok(b, err)
}

func (b *bench) task(id, command string) {
	b.Helper()
	_, err := b.CreateTask(b.Context(), "j", azbatch.CreateTaskContent{ID: &id, CommandLine: &command}, nil)
	ok(b, err)
}

// await waits until a task of the job j is in a state.
func (b *bench) await(id string, state azbatch.TaskState) (t azbatch.GetTaskResponse) {
	b.Helper()
	eventually(b, fmt.Sprintf("task %s is %s", id, state), func() bool {
		var err error
		t, err = b.GetTask(b.Context(), "j", id, nil)
		ok(b, err)
		return *t.State == state
	})
	return t
}

func TestPools(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	nodes := b.pool(2)
	_, err := b.CreatePool(t.Context(), azbatch.CreatePoolContent{ID: to.Ptr("P"), VMSize: to.Ptr("x"), TargetDedicatedNodes: to.Ptr[int32](0)}, nil)
	refused(t, err, 400, "MissingRequiredProperty")
	_, err = b.GetPool(t.Context(), "none", nil)
	refused(t, err, 404, "PoolNotFound")
	p, err := b.GetPool(t.Context(), "p", nil)
	ok(t, err)
	if p.CreationTime.After(*p.Pool.LastModified) || *p.ResizeTimeout != "PT15M" || *p.EnableAutoScale {
		t.Errorf("the pool was made %v and changed %v, its time-out is %s, it scales: %v", p.CreationTime, p.Pool.LastModified, *p.ResizeTimeout, *p.EnableAutoScale)
	}
	_, err = b.UpdatePool(t.Context(), "p", azbatch.UpdatePoolContent{Metadata: []azbatch.MetadataItem{{Name: to.Ptr("a"), Value: to.Ptr("b")}}},
		&azbatch.UpdatePoolOptions{IfMatch: p.ETag})
	ok(t, err)
	_, err = b.UpdatePool(t.Context(), "p", azbatch.UpdatePoolContent{}, &azbatch.UpdatePoolOptions{IfMatch: p.ETag})
	refused(t, err, 412, "ConditionNotMet")
	p, err = b.GetPool(t.Context(), "p", &azbatch.GetPoolOptions{SelectParam: []string{"id", "metadata", "stats"}, Expand: []string{"stats"}})
	ok(t, err)
	if len(p.Metadata) != 1 || p.VMSize != nil {
		t.Errorf("selected of the pool: %+v", p.Pool)
	}

	_, err = b.RemoveNodes(t.Context(), "p", azbatch.RemoveNodeContent{NodeList: []string{*nodes[0].ID}}, nil)
	ok(t, err)
	left := b.nodes(1)
	if *left[0].ID != *nodes[1].ID {
		t.Errorf("the node %s is left, want %s", *left[0].ID, *nodes[1].ID)
	}
	_, err = b.ResizePool(t.Context(), "p", azbatch.ResizePoolContent{TargetDedicatedNodes: to.Ptr[int32](3)}, nil)
	ok(t, err)
	b.nodes(3)
	_, err = b.RebootNode(t.Context(), "p", *left[0].ID, nil)
	ok(t, err)
	b.nodes(3)
	_, err = b.ReimageNode(t.Context(), "p", *left[0].ID, nil)
	ok(t, err)
	b.nodes(3)
	for _, page := range pages(t, b.NewListPoolNodeCountsPager(nil)) {
		for _, one := range page.Value {
			if *one.Dedicated.Idle != 3 || *one.Dedicated.Total != 3 {
				t.Errorf("the node counts are %+v", one.Dedicated)
			}
		}
	}
	_, err = b.DeletePool(t.Context(), "p", nil)
	ok(t, err)
	eventually(t, "the pool is gone", func() bool {
		_, err := b.GetPool(t.Context(), "p", nil)
		return err != nil
	})
}

func TestTasks(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.pool(2)
	b.job()
	b.task("one", "/bin/true")
	group := azbatch.TaskGroup{}
	for i := range 99 {
		group.Value = append(group.Value, azbatch.CreateTaskContent{ID: to.Ptr(fmt.Sprintf("t%02d", i)), CommandLine: to.Ptr("/bin/true")})
	}
	group.Value = append(group.Value, azbatch.CreateTaskContent{ID: to.Ptr("ONE"), CommandLine: to.Ptr("/bin/true")})
	added, err := b.CreateTaskCollection(t.Context(), "j", group, nil)
	ok(t, err)
	if last := added.Value[99]; len(added.Value) != 100 || *last.Status != azbatch.TaskAddStatusClientError || *last.Error.Code != "TaskExists" {
		t.Errorf("of %d tasks the last is %+v", len(added.Value), last)
	}
	eventually(t, "100 tasks have succeeded", func() bool {
		counts, err := b.GetJobTaskCounts(t.Context(), "j", nil)
		ok(t, err)
		return *counts.TaskCounts.Succeeded == 100 && *counts.TaskCounts.Completed == 100 && *counts.TaskSlotCounts.Completed == 100
	})
	var ids []string
	found := pages(t, b.NewListTasksPager("j", &azbatch.ListTasksOptions{
		MaxResults: to.Ptr[int32](7), Filter: to.Ptr("startswith(id, 't')"), SelectParam: []string{"id", "state"},
	}))
	for _, page := range found {
		for _, task := range page.Value {
			ids = append(ids, *task.ID)
		}
	}
	if len(found) < 15 || len(ids) != 99 || ids[0] != "t00" || ids[98] != "t98" {
		t.Errorf("%d pages of 7 hold %q", len(found), ids)
	}

	b.task("long", "/bin/sleep 600")
	running := b.await("long", azbatch.TaskStateRunning)
	if *running.Constraints.MaxTaskRetryCount != 2 || *running.NodeInfo.PoolID != "p" {
		t.Errorf("the task is %+v", running.Task)
	}
	_, err = b.TerminateTask(t.Context(), "j", "long", nil)
	ok(t, err)
	ended := b.await("long", azbatch.TaskStateCompleted)
	if *ended.ExecutionInfo.Result != azbatch.TaskExecutionResultFailure || *ended.ExecutionInfo.FailureInfo.Code != "TaskEnded" {
		t.Errorf("the terminated task says %+v", ended.ExecutionInfo)
	}
	_, err = b.TerminateTask(t.Context(), "j", "long", nil)
	refused(t, err, 409, "TaskCompleted")
	_, err = b.ReactivateTask(t.Context(), "j", "long", nil)
	ok(t, err)
	_, err = b.DeleteTask(t.Context(), "j", "long", nil)
	ok(t, err)
	_, err = b.GetTask(t.Context(), "j", "long", nil)
	refused(t, err, 404, "TaskNotFound")
	b.task("bad", "/bin/sh -c 'exit 3'")
	bad := b.await("bad", azbatch.TaskStateCompleted)
	if *bad.ExecutionInfo.ExitCode != 3 || *bad.ExecutionInfo.RetryCount != 2 {
		t.Errorf("the task that fails says %+v", bad.ExecutionInfo)
	}

	_, err = b.TerminateJob(t.Context(), "j", &azbatch.TerminateJobOptions{Parameters: &azbatch.TerminateJobContent{TerminationReason: to.Ptr("enough")}})
	ok(t, err)
	eventually(t, "the job is complete", func() bool {
		j, err := b.GetJob(t.Context(), "j", nil)
		ok(t, err)
		return *j.State == azbatch.JobStateCompleted && *j.ExecutionInfo.TerminationReason == "enough"
	})
	_, err = b.CreateTask(t.Context(), "j", azbatch.CreateTaskContent{ID: to.Ptr("late"), CommandLine: to.Ptr("/bin/true")}, nil)
	refused(t, err, 409, "JobCompleted")
	_, err = b.DeleteJob(t.Context(), "j", nil)
	ok(t, err)
}

func TestFiles(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.pool(1)
	b.job()
	const odd = "wd/d i r/ö &+%#?.txt"
	b.task("t", `/bin/sh -c 'mkdir "d i r"; echo 0123456789 >"d i r/ö &+%#?.txt"; echo out; echo err >&2'`)
	b.await("t", azbatch.TaskStateCompleted)
	sizes := map[string]int64{}
	for _, page := range pages(t, b.NewListTaskFilesPager("j", "t", &azbatch.ListTaskFilesOptions{Recursive: to.Ptr(true), MaxResults: to.Ptr[int32](2)})) {
		for _, f := range page.Value {
			if !*f.IsDirectory {
				sizes[*f.Name] = *f.Properties.ContentLength
			}
		}
	}
	if len(sizes) != 3 || sizes["stdout.txt"] != 4 || sizes["stderr.txt"] != 4 || sizes[odd] != 11 {
		t.Errorf("the task's files are %v", sizes)
	}
	read := func(name string, part *string) string {
		t.Helper()
		f, err := b.GetTaskFile(t.Context(), "j", "t", name, &azbatch.GetTaskFileOptions{OCPRange: part})
		ok(t, err)
		defer f.Body.Close()
		content, err := io.ReadAll(f.Body)
		ok(t, err)
		return string(content)
	}
	if whole, part := read(odd, nil), read(odd, to.Ptr("bytes=2-4")); whole != "0123456789\n" || part != "234" {
		t.Errorf("the file is %q, its part %q", whole, part)
	}
	about, err := b.GetTaskFileProperties(t.Context(), "j", "t", odd, nil)
	ok(t, err)
	if *about.ContentLength != 11 || *about.OCPBatchFileIsDirectory || about.LastModified == nil || *about.OCPBatchFileMode != "0o100644" {
		t.Errorf("the file is told of as %+v", about)
	}
	_, err = b.GetTaskFile(t.Context(), "j", "t", "none", nil)
	refused(t, err, 404, "FileNotFound")
	_, err = b.GetTaskFile(t.Context(), "j", "t", odd, &azbatch.GetTaskFileOptions{OCPRange: to.Ptr("bytes=99-")})
	refused(t, err, 416, "InvalidRange")
	_, err = b.DeleteTaskFile(t.Context(), "j", "t", odd, nil)
	ok(t, err)
	_, err = b.GetTaskFile(t.Context(), "j", "t", odd, nil)
	refused(t, err, 404, "FileNotFound")
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ok(t, err)
	form := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, form, form, &key.PublicKey, key)
	ok(t, err)
	sum := sha1.Sum(der)
	print := hex.EncodeToString(sum[:])
	in := azbatch.Certificate{
		Thumbprint: &print, ThumbprintAlgorithm: to.Ptr("sha1"), Data: to.Ptr(base64.StdEncoding.EncodeToString(der)), Format: to.Ptr(azbatch.CertificateFormatCER),
	}
	_, err = b.CreateCertificate(t.Context(), in, nil)
	ok(t, err)
	_, err = b.CreateCertificate(t.Context(), in, nil)
	refused(t, err, 409, "CertificateExists")
	got, err := b.GetCertificate(t.Context(), "sha1", print, nil)
	ok(t, err)
	if *got.State != azbatch.CertificateStateActive || *got.PublicData != *in.Data {
		t.Errorf("the certificate is %+v", got.Certificate)
	}
	_, err = b.DeleteCertificate(t.Context(), "sha1", print, nil)
	ok(t, err)
	eventually(t, "the certificate is gone", func() bool {
		_, err := b.GetCertificate(t.Context(), "sha1", print, nil)
		return err != nil
	})
}
