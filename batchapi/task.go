package batchapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"

	"latchkey/batch"
	"latchkey/fault"
	"latchkey/identity"
	"latchkey/rest"
)

func (d *Door) taskRoutes() {
	d.door.Handle("POST /jobs/{job}/tasks", d.addTask)
	d.door.Handle("POST /jobs/{job}/addtaskcollection", d.addTasks)
	d.door.Handle("GET /jobs/{job}/tasks", d.listTasks)
	d.door.Handle("GET /jobs/{job}/tasks/{task}", d.getTask)
	d.door.Handle("PUT /jobs/{job}/tasks/{task}", d.putTask)
	d.door.Handle("DELETE /jobs/{job}/tasks/{task}", d.deleteTask)
	d.door.Handle("POST /jobs/{job}/tasks/{task}/terminate", d.terminateTask)
	d.door.Handle("POST /jobs/{job}/tasks/{task}/reactivate", d.reactivateTask)
}

func taskPath(jobID, id string) string { return "/jobs/" + jobID + "/tasks/" + id }

func (d *Door) addTask(r *http.Request, who identity.Caller) (rest.Reply, error) {
	var in taskBody
	if err := rest.Decode(r, &in); err != nil {
		return rest.Reply{}, err
	}
	spec, err := in.spec()
	if err != nil {
		return rest.Reply{}, err
	}
	t, err := d.Batch.AddTask(r.Context(), who, account(r), r.PathValue("job"), spec)
	if err != nil {
		return rest.Reply{}, err
	}
	return changed(r, http.StatusCreated, taskPath(t.JobID, t.ID), t.Modified), nil
}

// addedOut is what became of one task of a collection.
type addedOut struct {
	Status       string    `json:"status"`
	TaskID       string    `json:"taskId"`
	ETag         string    `json:"eTag,omitempty"`
	LastModified timestamp `json:"lastModified,omitzero"`
	Location     string    `json:"location,omitempty"`
	Error        any       `json:"error,omitempty"`
}

// addTasks takes {"value":[…]}, and a bare array as some tools send it.
func (d *Door) addTasks(r *http.Request, who identity.Caller) (rest.Reply, error) {
	body, err := rest.Body(r)
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		Value *[]json.RawMessage `json:"value"`
	}
	if b := bytes.TrimSpace(body); len(b) > 0 && b[0] == '[' {
		in.Value = &[]json.RawMessage{}
		err = rest.Unmarshal(r, body, in.Value)
	} else {
		err = rest.Unmarshal(r, body, &in)
	}
	if err != nil {
		return rest.Reply{}, err
	}
	if in.Value == nil {
		return rest.Reply{}, batch.NoProperty("value")
	}
	if n := len(*in.Value); n > batch.MaxCollection {
		return rest.Reply{}, fault.InvalidRequestBody.New("A collection has at most %d tasks, and this one has %d.", batch.MaxCollection, n).
			With("PropertyName", "value").With("PropertyValue", fmt.Sprint(n))
	}
	out := make([]addedOut, len(*in.Value))
	var specs []batch.TaskSpec
	var at []int
	for i, raw := range *in.Value {
		var b taskBody
		if err := rest.Unmarshal(r, raw, &b); err != nil {
			return rest.Reply{}, err
		}
		spec, err := b.spec()
		if err != nil {
			out[i] = refusedOut(r, b.ID, err)
			continue
		}
		specs, at = append(specs, spec), append(at, i)
	}
	// Also with nothing left to add, the job is looked at.
	added, err := d.Batch.AddTasks(r.Context(), who, account(r), r.PathValue("job"), specs)
	if err != nil {
		return rest.Reply{}, err
	}
	for i, a := range added {
		if a.Err != nil {
			out[at[i]] = refusedOut(r, a.ID, a.Err)
			continue
		}
		t := a.Task
		out[at[i]] = addedOut{
			Status: "success", TaskID: t.ID, ETag: eTag(t.Modified), LastModified: lastModified(t.Modified),
			Location: account(r).URL + taskPath(t.JobID, t.ID),
		}
	}
	return rest.OK(struct {
		Metadata string     `json:"odata.metadata"`
		Value    []addedOut `json:"value"`
	}{account(r).URL + "/$metadata#taskaddresult", out}).With("Content-Type", contentType), nil
}

// refusedOut writes why a task was not added.
func refusedOut(r *http.Request, id string, err error) addedOut {
	f, ok := fault.From(err)
	if !ok {
		f = fault.InternalError.New("")
	}
	out := addedOut{Status: "clienterror", TaskID: id, Error: rest.BatchFailure(f, rest.RequestID(r))}
	if f.Code.Status >= 500 {
		out.Status = "servererror"
	}
	return out
}

func (d *Door) getTask(r *http.Request, who identity.Caller) (rest.Reply, error) {
	t, err := d.Batch.Task(r.Context(), who, account(r), r.PathValue("job"), r.PathValue("task"))
	if err != nil {
		return rest.Reply{}, err
	}
	return entity(r, "tasks", writeTask(account(r).URL, t), t.Modified)
}

func (d *Door) listTasks(r *http.Request, who identity.Caller) (rest.Reply, error) {
	acct := account(r)
	return list(r, "tasks", func(t batch.Task) taskOut { return writeTask(acct.URL, t) },
		func(l batch.List[batch.Task]) ([]batch.Task, string, error) {
			return d.Batch.Tasks(r.Context(), who, acct, r.PathValue("job"), l)
		})
}

func (d *Door) putTask(r *http.Request, who identity.Caller) (rest.Reply, error) {
	var in struct {
		Constraints *taskConstraints `json:"constraints"`
	}
	if err := rest.Decode(r, &in); err != nil {
		return rest.Reply{}, err
	}
	limits, err := in.Constraints.in()
	if err != nil {
		return rest.Reply{}, err
	}
	t, err := d.Batch.UpdateTask(r.Context(), who, account(r), r.PathValue("job"), r.PathValue("task"), condition(r), limits)
	if err != nil {
		return rest.Reply{}, err
	}
	return changed(r, http.StatusOK, taskPath(t.JobID, t.ID), t.Modified), nil
}

func (d *Door) deleteTask(r *http.Request, who identity.Caller) (rest.Reply, error) {
	if err := d.Batch.DeleteTask(r.Context(), who, account(r), r.PathValue("job"), r.PathValue("task"), condition(r)); err != nil {
		return rest.Reply{}, err
	}
	return rest.Status(http.StatusOK), nil
}

func (d *Door) terminateTask(r *http.Request, who identity.Caller) (rest.Reply, error) {
	t, err := d.Batch.TerminateTask(r.Context(), who, account(r), r.PathValue("job"), r.PathValue("task"), condition(r))
	if err != nil {
		return rest.Reply{}, err
	}
	return changed(r, http.StatusNoContent, taskPath(t.JobID, t.ID)+"/terminate", t.Modified), nil
}

func (d *Door) reactivateTask(r *http.Request, who identity.Caller) (rest.Reply, error) {
	t, err := d.Batch.ReactivateTask(r.Context(), who, account(r), r.PathValue("job"), r.PathValue("task"), condition(r))
	if err != nil {
		return rest.Reply{}, err
	}
	return changed(r, http.StatusNoContent, taskPath(t.JobID, t.ID)+"/reactivate", t.Modified), nil
}
