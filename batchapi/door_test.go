package batchapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

const poolJSON = `"vmSize":"standard_d2","virtualMachineConfiguration":{"imageReference":{"publisher":"canonical","offer":"ubuntu-24_04-lts","sku":"server"},"nodeAgentSKUId":"batch.node.ubuntu 24.04"}`

func TestBadInput(t *testing.T) {
	t.Parallel()
	h := door(t)
	for _, r := range []*http.Request{
		call("POST", "/pools", `{"id":"p",`+poolJSON+`,"targetDedicatedNodes":"0"}`),
		call("POST", "/jobs", `{"id":"j","poolInfo":{"poolId":"p"}}`),
	} {
		if w, _ := ask(t, h, r); w.Code != 201 || w.Header().Get("ETag") == "" || w.Header().Get("DataServiceId") == "" || w.Header().Get("Location") == "" {
			t.Fatalf("%d %s %v", w.Code, w.Body, w.Header())
		}
	}
	for _, c := range []struct {
		method, path, body string
		status             int
		code               string
	}{
		{"GET", "/nothing", "", 400, "InvalidUri"},
		{"PUT", "/pools/p", "{}", 405, "UnsupportedHttpVerb"},
		{"GET", "/pools/q", "", 404, "PoolNotFound"},
		{"GET", "/jobs/k/tasks", "", 404, "JobNotFound"},
		{"GET", "/jobs/j/tasks/t", "", 404, "TaskNotFound"},
		{"GET", "/pools/p/nodes/n", "", 404, "NodeNotFound"},
		{"GET", "/certificates(thumbprintAlgorithm=sha1,thumbprint=abc)", "", 404, "CertificateNotFound"},
		{"GET", "/certificates(abc)", "", 400, "InvalidUri"},
		{"GET", "/jobs?api-version=1999-01-01.1.0", "", 400, "InvalidQueryParameterValue"},
		{"GET", "/jobs?api-version=soon", "", 400, "InvalidQueryParameterValue"},
		{"GET", "/jobs?api-version=2024-07-01.20.0&maxresults=0", "", 400, "OutOfRangeQueryParameterValue"},
		{"GET", "/jobs?api-version=2024-07-01.20.0&maxresults=x", "", 400, "InvalidQueryParameterValue"},
		{"GET", "/jobs?api-version=2024-07-01.20.0&timeout=x", "", 400, "InvalidQueryParameterValue"},
		{"GET", "/jobs?api-version=2024-07-01.20.0&%24skiptoken=x", "", 400, "InvalidQueryParameterValue"},
		{"GET", "/jobs?api-version=2024-07-01.20.0&%24filter=x", "", 400, "InvalidQueryParameterValue"},
		{"GET", "/jobs?api-version=2024-07-01.20.0&%24select=nothing", "", 400, "InvalidQueryParameterValue"},
		{"POST", "/jobs", "", 400, "InvalidRequestBody"},
		{"POST", "/jobs", "{", 400, "InvalidRequestBody"},
		{"POST", "/jobs", "[]", 400, "InvalidRequestBody"},
		{"POST", "/jobs", `{"id":7}`, 400, "InvalidRequestBody"},
		{"POST", "/jobs", `{"id":"k"}`, 400, "MissingRequiredProperty"},
		{"POST", "/jobs", `{"poolInfo":{"poolId":"p"}}`, 400, "MissingRequiredProperty"},
		{"POST", "/jobs", `{"id":"a b","poolInfo":{"poolId":"p"}}`, 400, "InvalidPropertyValue"},
		{"POST", "/jobs", `{"id":"J","poolInfo":{"poolId":"p"}}`, 409, "JobExists"},
		{"POST", "/jobs", `{"id":"k","poolInfo":{"poolId":"p"},"priority":1001}`, 400, "InvalidPropertyValue"},
		{"POST", "/jobs", `{"id":"k","poolInfo":{"poolId":"p"},"priority":5000000000}`, 400, "InvalidPropertyValue"},
		{"POST", "/jobs", `{"id":"k","poolInfo":{"poolId":"p"},"priority":"high"}`, 400, "InvalidRequestBody"},
		{"POST", "/jobs", `{"id":"k","poolInfo":{"poolId":"p"},"constraints":{"maxWallClockTime":"soon"}}`, 400, "InvalidRequestBody"},
		{"POST", "/jobs", `{"id":"k","poolInfo":{"autoPoolSpecification":{"poolLifetimeOption":"job"}}}`, 400, "UnsupportedOperation"},
		{"POST", "/jobs", `{"id":"k","poolInfo":{"poolId":"p"},"jobManagerTask":{"id":"m","commandLine":"x"}}`, 400, "UnsupportedOperation"},
		{"PATCH", "/jobs/j", `{"usesTaskDependencies":true}`, 400, "InvalidPropertyValue"},
		{"POST", "/jobs/j/disable", `{}`, 400, "MissingRequiredProperty"},
		{"POST", "/jobs/j/disable", `{"disableTasks":"maybe"}`, 400, "InvalidPropertyValue"},
		{"POST", "/pools", `{"id":"q",` + poolJSON + `}`, 400, "MissingRequiredProperty"},
		{"POST", "/pools", `{"id":"q","vmSize":"x","targetDedicatedNodes":1}`, 400, "MissingRequiredProperty"},
		{"POST", "/pools", `{"id":"q",` + poolJSON + `,"targetDedicatedNodes":-1}`, 400, "InvalidPropertyValue"},
		{"POST", "/pools", `{"id":"q",` + poolJSON + `,"enableAutoScale":true,"autoScaleFormula":"x"}`, 400, "UnsupportedOperation"},
		{"POST", "/pools", `{"id":"q",` + poolJSON + `,"identity":{"type":"SystemAssigned"}}`, 400, "UnsupportedOperation"},
		{"POST", "/pools", `{"id":"q",` + poolJSON + `,"targetDedicatedNodes":0,"resizeTimeout":"PT1M"}`, 400, "InvalidPropertyValue"},
		{"POST", "/pools", `{"id":"P",` + poolJSON + `,"targetDedicatedNodes":0}`, 409, "PoolExists"},
		{"POST", "/pools/p/resize", `{}`, 400, "MissingRequiredProperty"},
		{"POST", "/pools/p/stopresize", ``, 409, "OperationInvalidForCurrentState"},
		{"POST", "/pools/p/enableautoscale", `{}`, 400, "UnsupportedOperation"},
		{"GET", "/jobschedules", "", 400, "UnsupportedOperation"},
		{"POST", "/jobs/j/tasks", `{"id":"t"}`, 400, "MissingRequiredProperty"},
		{"POST", "/jobs/j/tasks", `{"id":"t","commandLine":"x","resourceFiles":[{"httpUrl":"http://x","filePath":"../y"}]}`, 400, "InvalidPropertyValue"},
		{"POST", "/jobs/j/tasks", `{"id":"t","commandLine":"x","resourceFiles":[{"storageContainerUrl":"http://x"}]}`, 400, "UnsupportedOperation"},
		{"POST", "/jobs/j/tasks", `{"id":"t","commandLine":"x","dependsOn":{"taskIds":["u"]}}`, 409, "TaskDependenciesNotSpecifiedOnJob"},
		{"POST", "/jobs/j/addtaskcollection", `{}`, 400, "MissingRequiredProperty"},
		{"POST", "/jobs/j/addtaskcollection", `{"value":{}}`, 400, "InvalidRequestBody"},
		{"POST", "/jobs/j/addtaskcollection", `{"value":[` + strings.Repeat(`{"id":"x","commandLine":"x"},`, 100) + `{}]}`, 400, "InvalidRequestBody"},
		{"POST", "/certificates", `{"thumbprint":"ab","thumbprintAlgorithm":"sha1","data":"AA=="}`, 400, "InvalidPropertyValue"},
	} {
		w, code := ask(t, h, call(c.method, c.path, c.body))
		if w.Code != c.status || code != c.code {
			t.Errorf("%s %s %s: %d %s, want %d %s", c.method, c.path, c.body, w.Code, code, c.status, c.code)
		}
	}
	r := request("POST", "/jobs?api-version=2024-07-01.20.0", "{}")
	r.Header.Set("Content-Type", "text/plain")
	if w, _ := ask(t, h, signedAs(r)); w.Code != 415 {
		t.Errorf("another content type: %d", w.Code)
	}
	r = request("POST", "/jobs?api-version=2024-07-01.20.0", `{"id":"`+strings.Repeat("x", 9<<20)+`"}`)
	if w, _ := ask(t, h, signedAs(r)); w.Code != 413 {
		t.Errorf("a body that is too large: %d", w.Code)
	}
	r = request("GET", "/jobs", "")
	if w, code := ask(t, h, signedAs(r)); w.Code != 400 || code != "MissingRequiredQueryParameter" {
		t.Errorf("no api-version: %d %s", w.Code, code)
	}
}

// page is the body of a list.
type page struct {
	Value []map[string]any
	Next  string `json:"odata.nextLink"`
}

func TestCollectionsPagesAndSelections(t *testing.T) {
	t.Parallel()
	h := door(t)
	ask(t, h, call("POST", "/jobs", `{"id":"j","poolInfo":{"poolId":"p"}}`))
	var tasks []string
	for i := range 7 {
		tasks = append(tasks, fmt.Sprintf(`{"id":"t%d","commandLine":"x","constraints":{"maxTaskRetryCount":"2","retentionTime":"PT01H00M00S"}}`, i))
	}
	// A bare array, as some tools send it; one id comes twice.
	w, _ := ask(t, h, call("POST", "/jobs/j/addtaskcollection", "["+strings.Join(append(tasks, tasks[0], `{"id":"x","commandLine":"x","outputFiles":[{}]}`), ",")+"]"))
	var added struct {
		Value []struct {
			Status, TaskID, Location, ETag string
			Error                          struct{ Code string }
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &added); err != nil || w.Code != 200 || len(added.Value) != 9 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	for i, a := range added.Value {
		want := map[int]string{7: "TaskExists", 8: "UnsupportedOperation"}[i]
		if want == "" && (a.Status != "success" || a.Location != "https://"+host+"/jobs/j/tasks/"+a.TaskID || a.ETag == "") ||
			want != "" && (a.Status != "clienterror" || a.Error.Code != want) {
			t.Errorf("%d: %+v, want %q", i, a, want)
		}
	}
	var ids []string
	next := "/jobs/j/tasks?api-version=2024-07-01.20.0&maxresults=3&%24select=id,constraints&%24filter=" + url.QueryEscape("state eq 'active'")
	for pages := 0; next != ""; pages++ {
		w, _ := ask(t, h, call("GET", next, ""))
		var p page
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != 200 || pages > 3 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		for _, v := range p.Value {
			ids = append(ids, v["id"].(string))
			if limits := v["constraints"].(map[string]any); len(v) != 2 || limits["maxTaskRetryCount"] != 2.0 || limits["retentionTime"] != "PT1H" {
				t.Errorf("%v, want id and constraints", v)
			}
		}
		var ok bool
		if next, ok = strings.CutPrefix(p.Next, "https://"+host); !ok && p.Next != "" {
			t.Fatalf("next page at %q", p.Next)
		}
	}
	if got := strings.Join(ids, " "); got != "t0 t1 t2 t3 t4 t5 t6" {
		t.Errorf("tasks = %s", got)
	}
}

func TestConditionsGuardChanges(t *testing.T) {
	t.Parallel()
	h := door(t)
	w, _ := ask(t, h, call("POST", "/jobs", `{"id":"j","poolInfo":{"poolId":"p"}}`))
	tag := w.Header().Get("ETag")
	with := func(method, path, body, header, value string) *http.Request {
		r := request(method, path+"?api-version=2024-07-01.20.0", body)
		r.Header.Set(header, value)
		return signedAs(r)
	}
	if w, _ := ask(t, h, with("GET", "/jobs/j", "", "If-None-Match", tag)); w.Code != 304 {
		t.Errorf("asking for news: %d", w.Code)
	}
	if w, code := ask(t, h, with("PATCH", "/jobs/j", `{"priority":1}`, "If-Match", `"0x1"`)); w.Code != 412 || code != "ConditionNotMet" {
		t.Errorf("changing another state: %d %s", w.Code, code)
	}
	w, _ = ask(t, h, with("PATCH", "/jobs/j", `{"priority":1}`, "If-Match", tag))
	if w.Code != 200 || w.Header().Get("ETag") == tag {
		t.Errorf("changing: %d %v", w.Code, w.Header())
	}
	if w, _ := ask(t, h, with("DELETE", "/jobs/j", "", "If-Match", tag)); w.Code != 412 {
		t.Errorf("deleting what has changed: %d", w.Code)
	}
	w, _ = ask(t, h, call("GET", "/jobs/j", ""))
	var j map[string]any
	json.Unmarshal(w.Body.Bytes(), &j)
	if j["priority"] != 1.0 || j["eTag"] != strings.Trim(w.Header().Get("ETag"), `"`) || w.Header().Get("Content-Type") != "application/json;odata=minimalmetadata" {
		t.Errorf("%v %v", j, w.Header())
	}
}
