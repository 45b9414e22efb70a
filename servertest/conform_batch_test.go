package servertest_test

import (
	"net/http"
	"strings"
	"testing"

	"latchkey/resource"
)

const batchDocuments = "batch/data-plane/Microsoft.Batch/stable/"

// notInBatch are the operations of Batch's data plane that this service does not have,
// and how they are refused.
var notInBatch = map[string]string{
	"Application_List": "UnsupportedOperation", "Application_Get": "UnsupportedOperation",
	"Pool_ListUsageMetrics": "UnsupportedOperation", "Pool_GetAllLifetimeStatistics": "UnsupportedOperation", "Job_GetAllLifetimeStatistics": "UnsupportedOperation",
	"Pool_EnableAutoScale": "UnsupportedOperation", "Pool_EvaluateAutoScale": "UnsupportedOperation",
	"JobSchedule_Exists": "UnsupportedOperation", "JobSchedule_Delete": "UnsupportedOperation", "JobSchedule_Get": "UnsupportedOperation",
	"JobSchedule_Patch": "UnsupportedOperation", "JobSchedule_Update": "UnsupportedOperation", "JobSchedule_Disable": "UnsupportedOperation",
	"JobSchedule_Enable": "UnsupportedOperation", "JobSchedule_Terminate": "UnsupportedOperation", "JobSchedule_Add": "UnsupportedOperation",
	"JobSchedule_List": "UnsupportedOperation", "Job_ListFromJobSchedule": "UnsupportedOperation",
	"Job_ListPreparationAndReleaseTaskStatus": "UnsupportedOperation", "Task_ListSubtasks": "UnsupportedOperation",
	"ComputeNode_AddUser": "UnsupportedOperation", "ComputeNode_DeleteUser": "UnsupportedOperation", "ComputeNode_UpdateUser": "UnsupportedOperation",
	"ComputeNode_Start": "UnsupportedOperation", "ComputeNode_Deallocate": "UnsupportedOperation",
	"ComputeNode_GetRemoteLoginSettings": "UnsupportedOperation", "ComputeNode_GetRemoteDesktop": "UnsupportedOperation",
	"ComputeNode_UploadBatchServiceLogs": "UnsupportedOperation",
	"ComputeNodeExtension_List":          "UnsupportedOperation", "ComputeNodeExtension_Get": "UnsupportedOperation",
}

// Every operation of Batch's data plane answers as the documents of its first and of
// its last classic api-version say.
func TestBatchAnswersAsItsDocumentsSay(t *testing.T) {
	t.Parallel()
	conforming(t, map[string][]string{
		"2024-07-01.20.0": {batchDocuments + "2024-07-01.20.0/BatchService.json"},
		"2022-10-01.16.0": {batchDocuments + "2022-10-01.16.0/BatchService.json"},
	}, func(t *testing.T, a *api) {
		w := newWorld(t)
		c := &conformer{
			world: w, t: t, api: a, base: w.data, done: map[string]int{}, values: map[string]string{"thumbprintAlgorithm": "sha1"},
			header: http.Header{"Client-Request-Id": {resource.NewGUID()}, "Return-Client-Request-Id": {"true"}},
			always: []string{"Request-Id", "Client-Request-Id", "Dataserviceversion"},
			// OData's address of the description stands in every body, though no document has it.
			allowed: anyOf("body.odata.metadata"),
		}
		c.certificates()
		c.pools()
		c.jobs()
		c.tasks()
		c.files()
		c.nodes()
		c.goodbye()
		c.rest(copied(notInBatch))
	})
}

func copied(m map[string]string) map[string]string {
	out := map[string]string{}
	for k, v := range m {
		out[k] = v
	}
	return out
}

func (c *conformer) certificates() {
	c.t.Helper()
	added := c.certificate(map[string][]byte{})
	print := added["thumbprint"].(string)
	c.need(c.ok("Certificate_Add", 201, added), "DataServiceId")
	c.refused("Certificate_Add", 409, "CertificateExists", added)
	c.refused("Certificate_Add", 400, "InvalidPropertyValue", object{"thumbprint": "x", "thumbprintAlgorithm": "sha1", "data": "AAAA"})
	c.ok("Certificate_Get", 200, nil, "thumbprint", print)
	c.refused("Certificate_Get", 404, "CertificateNotFound", nil, "thumbprint", strings.Repeat("0", 40))
	c.ok("Certificate_List", 200, nil)
	c.ok("Certificate_List", 200, nil, "maxresults", "1", "$select", "thumbprint,state")
	c.refused("Certificate_List", 400, "InvalidQueryParameterValue", nil, "$filter", "nonsense")
	c.values["thumbprint"] = print
}

func (c *conformer) pools() {
	c.t.Helper()
	pool := object{
		"id": "Pool1", "displayName": "first", "vmSize": "standard_d2s_v3", "targetDedicatedNodes": 1, "targetLowPriorityNodes": 1, "taskSlotsPerNode": 2,
		"virtualMachineConfiguration": object{
			"imageReference":             object{"publisher": "canonical", "offer": "ubuntu-24_04-lts", "sku": "server", "version": "latest"},
			"nodeAgentSKUId":             "batch.node.ubuntu 24.04",
			"nodePlacementConfiguration": object{"policy": "regional"},
			"osDisk":                     object{"ephemeralOSDiskSettings": object{"placement": "CacheDisk"}},
		},
		"resizeTimeout": "PT20M", "enableInterNodeCommunication": false,
		"startTask": object{
			"commandLine": "/bin/sh -c 'echo ready'", "environmentSettings": []object{{"name": "A", "value": "b"}}, "maxTaskRetryCount": 1, "waitForSuccess": true,
			"userIdentity": object{"autoUser": object{"scope": "pool", "elevationLevel": "nonadmin"}},
		},
		"certificateReferences": []object{{"thumbprint": c.values["thumbprint"], "thumbprintAlgorithm": "sha1", "storeLocation": "currentuser", "visibility": []string{"task"}}},
		"taskSchedulingPolicy":  object{"nodeFillType": "spread"},
		"userAccounts":          []object{{"name": "worker", "password": "Secret1!", "elevationLevel": "nonadmin"}},
		"metadata":              []object{{"name": "m", "value": "v"}},
		"networkConfiguration":  object{"publicIPAddressConfiguration": object{"provision": "batchmanaged"}},
	}
	c.need(c.ok("Pool_Add", 201, pool), "ETag", "Last-Modified", "DataServiceId")
	c.refused("Pool_Add", 409, "PoolExists", pool)
	c.refused("Pool_Add", 400, "MissingRequiredProperty", object{"id": "p2"})
	c.refused("Pool_Add", 400, "InvalidPropertyValue", object{"id": "p?", "vmSize": "standard_d2s_v3", "targetDedicatedNodes": 1})
	c.need(c.ok("Pool_Exists", 200, nil, "poolId", "Pool1"), "ETag", "Last-Modified")
	c.refused("Pool_Exists", 404, "", nil, "poolId", "nothere")
	c.need(c.ok("Pool_Get", 200, nil, "poolId", "pool1"), "ETag", "Last-Modified")
	c.refused("Pool_Get", 404, "PoolNotFound", nil, "poolId", "nothere")
	c.ok("Pool_Get", 200, nil, "poolId", "pool1", "$select", "id,state,startTask/commandLine")
	c.ok("Pool_List", 200, nil)
	c.ok("Pool_List", 200, nil, "$filter", "state eq 'active'", "maxresults", "1")
	until(c.t, "two idle nodes", func() bool { return c.world.nodes("Pool1")["idle"] == 2 })
	c.ok("Account_ListPoolNodeCounts", 200, nil)
	c.ok("Account_ListSupportedImages", 200, nil)
	c.ok("Account_ListSupportedImages", 200, nil, "$filter", "osType eq 'linux'", "maxresults", "2")
	c.ok("Pool_Patch", 200, object{"metadata": []object{{"name": "n", "value": "w"}}}, "poolId", "Pool1")
	c.refused("Pool_Patch", 404, "PoolNotFound", object{"metadata": []object{}}, "poolId", "nothere")
	c.ok("Pool_UpdateProperties", 204, object{
		"certificateReferences": []object{}, "applicationPackageReferences": []object{}, "metadata": []object{{"name": "o", "value": "x"}},
	}, "poolId", "Pool1")
	c.refused("Pool_UpdateProperties", 400, "MissingRequiredProperty", object{"certificateReferences": []object{}}, "poolId", "Pool1")
	c.ok("Pool_DisableAutoScale", 200, nil, "poolId", "Pool1")
	c.need(c.ok("Pool_Resize", 202, object{"targetDedicatedNodes": 2, "targetLowPriorityNodes": 0, "resizeTimeout": "PT15M", "nodeDeallocationOption": "requeue"}, "poolId", "Pool1"), "ETag", "Last-Modified", "DataServiceId")
	c.refused("Pool_Resize", 404, "PoolNotFound", object{"targetDedicatedNodes": 1}, "poolId", "nothere")
	c.refused("Pool_Resize", 400, "InvalidPropertyValue", object{"targetDedicatedNodes": -1}, "poolId", "Pool1")
	c.steady()
	until(c.t, "two idle nodes", func() bool { return c.world.nodes("Pool1")["idle"] == 2 })
	c.refused("Pool_StopResize", 409, "OperationInvalidForCurrentState", nil, "poolId", "Pool1")
	c.refused("Pool_Delete", 412, "ConditionNotMet", nil, "poolId", "Pool1", "If-Match", `"0x1"`)
}

// steady waits until the pool is not being resized.
func (c *conformer) steady() {
	c.t.Helper()
	until(c.t, "the pool is steady", func() bool {
		var p struct{ AllocationState string }
		c.ok("Pool_Get", 200, nil, "poolId", "Pool1").read(c.t, &p)
		return p.AllocationState == "steady"
	})
}

// jobs adds jobs in several states.
func (c *conformer) jobs() {
	c.t.Helper()
	job := object{
		"id": "Job1", "displayName": "first", "priority": 5, "constraints": object{"maxWallClockTime": "PT1H", "maxTaskRetryCount": 2},
		"poolInfo": object{"poolId": "Pool1"}, "onAllTasksComplete": "noaction", "onTaskFailure": "performexitoptionsjobaction",
		"commonEnvironmentSettings": []object{{"name": "C", "value": "d"}}, "metadata": []object{{"name": "m", "value": "v"}}, "usesTaskDependencies": true,
	}
	c.need(c.ok("Job_Add", 201, job), "ETag", "Last-Modified", "DataServiceId")
	c.refused("Job_Add", 409, "JobExists", job)
	c.refused("Job_Add", 400, "MissingRequiredProperty", object{"id": "j2"})
	c.ok("Job_Add", 201, object{"id": "Job2", "poolInfo": object{"poolId": "Pool1"}})
	c.need(c.ok("Job_Get", 200, nil, "jobId", "job1"), "ETag", "Last-Modified")
	c.ok("Job_Get", 200, nil, "jobId", "job1", "$select", "id,state", "$expand", "stats")
	c.refused("Job_Get", 404, "JobNotFound", nil, "jobId", "nothere")
	c.ok("Job_List", 200, nil)
	c.ok("Job_List", 200, nil, "maxresults", "1", "$filter", "state eq 'active'")
	c.ok("Job_Patch", 200, object{"priority": 7}, "jobId", "Job1")
	c.refused("Job_Patch", 400, "InvalidPropertyValue", object{"priority": 5000}, "jobId", "Job1")
	c.ok("Job_Update", 200, object{"poolInfo": object{"poolId": "Pool1"}, "priority": 1}, "jobId", "Job2")
	c.refused("Job_Update", 400, "MissingRequiredProperty", object{"priority": 1}, "jobId", "Job2")
	c.need(c.ok("Job_Disable", 202, object{"disableTasks": "requeue"}, "jobId", "Job2"), "ETag", "Last-Modified", "DataServiceId")
	until(c.t, "job 2 is disabled", func() bool { return c.state("Job_Get", "jobId", "Job2") == "disabled" })
	c.refused("Job_Disable", 400, "InvalidPropertyValue", object{"disableTasks": "maybe"}, "jobId", "Job1")
	c.ok("Job_Enable", 202, nil, "jobId", "Job2")
	c.refused("Job_Enable", 404, "JobNotFound", nil, "jobId", "nothere")
}

func (c *conformer) state(op string, pairs ...string) string {
	c.t.Helper()
	var v struct{ State string }
	c.ok(op, 200, nil, pairs...).read(c.t, &v)
	return v.State
}

func (c *conformer) tasks() {
	c.t.Helper()
	task := object{
		"id": "Task1", "displayName": "first", "commandLine": "/bin/sh -c 'echo out; echo err >&2; mkdir -p d; echo x > d/f.txt'",
		"environmentSettings": []object{{"name": "E", "value": "f"}},
		"constraints":         object{"maxWallClockTime": "PT5M", "retentionTime": "PT1H", "maxTaskRetryCount": 0},
		"requiredSlots":       1, "userIdentity": object{"autoUser": object{"scope": "task", "elevationLevel": "nonadmin"}},
		"exitConditions": object{
			"exitCodes":      []object{{"code": 3, "exitOptions": object{"jobAction": "none", "dependencyAction": "satisfy"}}},
			"exitCodeRanges": []object{{"start": 4, "end": 9, "exitOptions": object{"dependencyAction": "block"}}},
			"default":        object{"jobAction": "none"},
		},
	}
	c.need(c.ok("Task_Add", 201, task, "jobId", "Job1"), "ETag", "Last-Modified", "DataServiceId")
	c.refused("Task_Add", 409, "TaskExists", task, "jobId", "Job1")
	c.refused("Task_Add", 404, "JobNotFound", task, "jobId", "nothere")
	c.refused("Task_Add", 400, "MissingRequiredProperty", object{"id": "t"}, "jobId", "Job1")
	collection := c.ok("Task_AddCollection", 200, object{"value": []object{
		{"id": "failing", "commandLine": "/bin/sh -c 'exit 7'", "exitConditions": object{"default": object{"jobAction": "none"}}},
		{"id": "lost", "commandLine": "/no/such/program", "exitConditions": object{"preProcessingError": object{"jobAction": "none"}}},
		{"id": "after", "commandLine": "/bin/sh -c 'sleep 60'", "dependsOn": object{"taskIds": []string{"Task1"}, "taskIdRanges": []object{}}},
		{"id": "Task1", "commandLine": "twice"},
		{"id": "no good", "commandLine": "bad"},
	}}, "jobId", "Job1")
	var results struct{ Value []struct{ Status string } }
	collection.read(c.t, &results)
	got := ""
	for _, r := range results.Value {
		got += r.Status + " "
	}
	if want := "success success success clienterror clienterror "; got != want {
		c.t.Errorf("the collection's results are %q, want %q", got, want)
	}
	for _, id := range []string{"Task1", "failing", "lost"} {
		until(c.t, id+" is completed", func() bool { return c.state("Task_Get", "jobId", "Job1", "taskId", id) == "completed" })
	}
	until(c.t, "a task is running", func() bool { return c.state("Task_Get", "jobId", "Job1", "taskId", "after") == "running" })
	c.need(c.ok("Task_Get", 200, nil, "jobId", "Job1", "taskId", "task1"), "ETag", "Last-Modified")
	c.refused("Task_Get", 404, "TaskNotFound", nil, "jobId", "Job1", "taskId", "nothere")
	c.ok("Task_List", 200, nil, "jobId", "Job1")
	c.ok("Task_List", 200, nil, "jobId", "Job1", "$filter", "state eq 'completed' and executionInfo/result eq 'failure'", "$select", "id,executionInfo")
	c.ok("Task_List", 200, nil, "jobId", "Job1", "maxresults", "1")
	c.refused("Task_List", 404, "JobNotFound", nil, "jobId", "nothere")
	c.ok("Job_GetTaskCounts", 200, nil, "jobId", "Job1")
	c.refused("Job_GetTaskCounts", 404, "JobNotFound", nil, "jobId", "nothere")
	c.ok("Task_Reactivate", 204, nil, "jobId", "Job1", "taskId", "failing")
	c.refused("Task_Reactivate", 404, "TaskNotFound", nil, "jobId", "Job1", "taskId", "nothere")
	c.ok("Task_Update", 200, object{"constraints": object{"maxTaskRetryCount": 1}}, "jobId", "Job1", "taskId", "after")
	c.refused("Task_Update", 404, "TaskNotFound", object{"constraints": object{}}, "jobId", "Job1", "taskId", "nothere")
}

func (c *conformer) files() {
	c.t.Helper()
	at := []string{"jobId", "Job1", "taskId", "Task1"}
	c.ok("File_ListFromTask", 200, nil, append(at, "recursive", "true")...)
	c.ok("File_ListFromTask", 200, nil, append(at, "maxresults", "1")...)
	got := c.ok("File_GetFromTask", 200, nil, append(at, "filePath", "stdout.txt")...)
	if string(got.body) != "out\n" {
		c.t.Errorf("stdout.txt = %q, want \"out\\n\"", got.body)
	}
	c.need(got, "Last-Modified", "Ocp-Creation-Time", "Ocp-Batch-File-Isdirectory", "Ocp-Batch-File-Url", "Ocp-Batch-File-Mode", "Content-Type", "Content-Length")
	c.need(c.ok("File_GetPropertiesFromTask", 200, nil, append(at, "filePath", "wd/d/f.txt")...), "Last-Modified", "Ocp-Creation-Time", "Ocp-Batch-File-Isdirectory", "Content-Length")
	c.refused("File_GetPropertiesFromTask", 404, "", nil, append(at, "filePath", "wd/none")...)
	c.refused("File_GetFromTask", 404, "FileNotFound", nil, append(at, "filePath", "wd/none")...)
	c.refused("File_GetFromTask", 409, "FileIsDirectory", nil, append(at, "filePath", "wd")...)
	c.ok("File_DeleteFromTask", 200, nil, append(at, "filePath", "wd/d", "recursive", "true")...)
	c.refused("File_DeleteFromTask", 404, "FileNotFound", nil, append(at, "filePath", "wd/d", "recursive", "true")...)

	var task struct {
		NodeInfo struct{ NodeID, TaskRootDirectory string }
	}
	c.ok("Task_Get", 200, nil, at...).read(c.t, &task)
	on := []string{"poolId", "Pool1", "nodeId", task.NodeInfo.NodeID}
	c.ok("File_ListFromComputeNode", 200, nil, append(on, "recursive", "true")...)
	c.ok("File_ListFromComputeNode", 200, nil, on...)
	file := task.NodeInfo.TaskRootDirectory + "/stdout.txt"
	if got := c.ok("File_GetFromComputeNode", 200, nil, append(on, "filePath", file)...); string(got.body) != "out\n" {
		c.t.Errorf("%s = %q, want \"out\\n\"", file, got.body)
	}
	c.ok("File_GetPropertiesFromComputeNode", 200, nil, append(on, "filePath", file)...)
	c.refused("File_GetFromComputeNode", 404, "FileNotFound", nil, append(on, "filePath", "startup/none")...)
	c.ok("File_DeleteFromComputeNode", 200, nil, append(on, "filePath", task.NodeInfo.TaskRootDirectory+"/stderr.txt")...)
	c.values["nodeId"] = task.NodeInfo.NodeID
}

func (c *conformer) nodes() {
	c.t.Helper()
	c.ok("ComputeNode_List", 200, nil, "poolId", "Pool1")
	c.ok("ComputeNode_List", 200, nil, "poolId", "Pool1", "maxresults", "1", "$select", "id,state")
	c.refused("ComputeNode_List", 404, "PoolNotFound", nil, "poolId", "nothere")
	c.ok("ComputeNode_Get", 200, nil, "poolId", "Pool1")
	c.refused("ComputeNode_Get", 404, "NodeNotFound", nil, "poolId", "Pool1", "nodeId", "nothere")
	c.need(c.ok("ComputeNode_DisableScheduling", 200, object{"nodeDisableSchedulingOption": "requeue"}, "poolId", "Pool1"), "DataServiceId")
	c.ok("ComputeNode_EnableScheduling", 200, nil, "poolId", "Pool1")
	c.need(c.ok("ComputeNode_Reboot", 202, object{"nodeRebootOption": "requeue"}, "poolId", "Pool1"), "DataServiceId")
	idle := func() bool {
		s := c.state("ComputeNode_Get", "poolId", "Pool1")
		return s == "idle" || s == "running"
	}
	until(c.t, "the node is back", idle)
	c.refused("ComputeNode_Reboot", 404, "NodeNotFound", nil, "poolId", "Pool1", "nodeId", "nothere")
	c.ok("ComputeNode_Reimage", 202, object{"nodeReimageOption": "requeue"}, "poolId", "Pool1")
	until(c.t, "the node is back", idle)
	c.ok("Pool_RemoveNodes", 202, object{"nodeList": []string{c.values["nodeId"]}, "nodeDeallocationOption": "requeue"}, "poolId", "Pool1")
	c.refused("Pool_RemoveNodes", 404, "PoolNotFound", object{"nodeList": []string{"x"}}, "poolId", "nothere")
	c.steady()
}

// goodbye ends and deletes what the others have made.
func (c *conformer) goodbye() {
	c.t.Helper()
	until(c.t, "a task is running again", func() bool { return c.state("Task_Get", "jobId", "Job1", "taskId", "after") == "running" })
	// A resize that waits for the task can be stopped.
	c.ok("Pool_Resize", 202, object{"targetDedicatedNodes": 0, "nodeDeallocationOption": "taskcompletion"}, "poolId", "Pool1")
	c.need(c.ok("Pool_StopResize", 202, nil, "poolId", "Pool1"), "ETag", "Last-Modified", "DataServiceId")
	c.need(c.ok("Task_Terminate", 204, nil, "jobId", "Job1", "taskId", "after"), "ETag", "Last-Modified", "DataServiceId")
	c.refused("Task_Terminate", 404, "TaskNotFound", nil, "jobId", "Job1", "taskId", "nothere")
	until(c.t, "the task has ended", func() bool { return c.state("Task_Get", "jobId", "Job1", "taskId", "after") == "completed" })
	c.ok("Task_Get", 200, nil, "jobId", "Job1", "taskId", "after")
	c.ok("Task_Delete", 200, nil, "jobId", "Job1", "taskId", "after")
	c.refused("Task_Delete", 404, "TaskNotFound", nil, "jobId", "Job1", "taskId", "after")
	c.ok("Job_Terminate", 202, object{"terminateReason": "enough"}, "jobId", "Job1")
	until(c.t, "the job has ended", func() bool { return c.state("Job_Get", "jobId", "Job1") == "completed" })
	c.refused("Job_Terminate", 409, "JobCompleted", nil, "jobId", "Job1")
	c.ok("Job_Delete", 202, nil, "jobId", "Job1")
	c.refused("Job_Delete", 404, "JobNotFound", nil, "jobId", "nothere")
	c.ok("Pool_Delete", 202, nil, "poolId", "Pool1")
	until(c.t, "the pool has gone", func() bool { return c.call("Pool_Get", nil, values("poolId", "Pool1"), nil).status == 404 })
	c.ok("Certificate_Delete", 202, nil)
	until(c.t, "the certificate has gone", func() bool { return c.call("Certificate_Get", nil, nil, nil).status == 404 })
	c.refused("Certificate_Delete", 404, "CertificateNotFound", nil)
	c.refused("Certificate_CancelDeletion", 404, "CertificateNotFound", nil)
	// A certificate that a pool uses cannot be deleted, and the deletion is taken back.
	added := c.certificate(map[string][]byte{})
	c.ok("Certificate_Add", 201, added)
	c.values["thumbprint"] = added["thumbprint"].(string)
	c.ok("Pool_Add", 201, object{
		"id": "holder", "vmSize": "standard_d2s_v3", "targetDedicatedNodes": 0,
		"virtualMachineConfiguration": object{"imageReference": object{"publisher": "canonical", "offer": "ubuntu-24_04-lts", "sku": "server"}, "nodeAgentSKUId": "batch.node.ubuntu 24.04"},
		"certificateReferences":       []object{{"thumbprint": c.values["thumbprint"], "thumbprintAlgorithm": "sha1"}},
	})
	if c.call("Certificate_Delete", nil, nil, nil).status == http.StatusAccepted {
		until(c.t, "the deletion has failed", func() bool { return c.state("Certificate_Get") == "deletefailed" })
		c.ok("Certificate_CancelDeletion", 204, nil)
	} else {
		c.refused("Certificate_Delete", 409, "CertificateBeingReferenced", nil)
	}
}
