package batchapi

import (
	"reflect"
	"testing"
	"time"
)

func sample() taskOut {
	code := 3
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	return taskOut{
		ID: "Task-1", State: "completed", CreationTime: timestamp(at), StateTime: timestamp(at.Add(time.Hour)), Slots: 2,
		CommandLine: "echo it's", DisplayName: "one",
		Execution:   taskExecution{ExitCode: &code, Result: "failure", Failure: &failureInfo{Category: "usererror", Code: "FailureExitCode"}},
		Environment: []nameValue{{"A", "1"}, {"B", "2"}},
	}
}

func TestFilters(t *testing.T) {
	t.Parallel()
	v := reflect.ValueOf(sample())
	for _, c := range []struct {
		filter string
		want   bool
	}{
		{"state eq 'completed'", true},
		{"state ne 'completed'", false},
		{"State EQ 'completed'", true},
		{"id eq 'task-1'", true},
		{"state eq 'COMPLETED'", false},
		{"startswith(id, 'TASK')", true},
		{"startswith(id,'2')", false},
		{"endswith(id,'-1') and contains(commandLine,'echo')", true},
		{"substringof('ask', id)", true},
		{"commandLine eq 'echo it''s'", true},
		{"executionInfo/exitCode eq 3", true},
		{"executionInfo/exitCode gt 3 or executionInfo/exitCode lt -1", false},
		{"executionInfo/exitCode ge 3 and executionInfo/exitCode le 3", true},
		{"executionInfo/failureInfo/category eq 'usererror'", true},
		{"executionInfo/result eq 'success' or (state eq 'completed' and requiredSlots eq 2)", true},
		{"not (state eq 'completed')", false},
		{"not state eq 'active' and id ne 'x'", true},
		{"creationTime gt datetime'2026-11-23T11:59:59Z'", true},
		{"creationTime gt DateTime'2026-11-23T12:00:00.0000000Z'", false},
		{"creationTime le datetimeoffset'2026-11-23T13:00:00+01:00'", true},
		{"creationTime ge 2026-11-23T12:00:00Z", true},
		{"stateTransitionTime lt datetime'2026-11-23'", false},
		{"environmentSettings/any(e: e/name eq 'B' and e/value eq '2')", true},
		{"environmentSettings/any(e:e/name eq 'B' and e/value eq '1')", false},
		{"displayName eq null", false},
		{"displayName ne null", true},
		{"previousState eq null", true},
		{"previousState eq 'active'", false},
		{"previousState ne 'active'", true},
		{"nodeInfo/nodeId eq 'x'", false},
	} {
		f, err := parseFilter(c.filter, v.Type())
		if err != nil {
			t.Errorf("%s: %v", c.filter, err)
			continue
		}
		if got := f(v); got != c.want {
			t.Errorf("%s = %v, want %v", c.filter, got, c.want)
		}
	}
}

func TestBadFilters(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"state", "state eq", "state eq completed", "state is 'x'", "nothing eq 'x'", "executionInfo/nothing eq 1", "state eq 'open",
		"(state eq 'x'", "state eq 'x')", "state eq 'x' and", "state eq 3", "requiredSlots eq '2'", "requiredSlots eq 1.5",
		"creationTime gt 'yesterday'", "creationTime gt datetime'x'", "guid'x' eq 'y'", "startswith(state)", "startswith(requiredSlots,'1')",
		"length(id) eq 3", "environmentSettings/any(e:name eq 'x')", "id/any(e:e eq 'x')", "'x' eq state", "state eq (", ",",
	} {
		if _, err := parseFilter(text, reflect.TypeFor[taskOut]()); err == nil {
			t.Errorf("%s was taken", text)
		}
	}
}

// A filter is what strangers write: whatever it is, it is refused or it can be asked.
func FuzzFilter(f *testing.F) {
	for _, seed := range []string{
		"state eq 'x'", "not ((id eq 'a'))", "environmentSettings/any(e: e/name eq 'B')", "creationTime gt datetime'2026-11-23'", "a:b(c,d)'e'",
	} {
		f.Add(seed)
	}
	v := reflect.ValueOf(sample())
	f.Fuzz(func(_ *testing.T, text string) {
		if keep, err := parseFilter(text, v.Type()); err == nil {
			keep(v)
		}
	})
}
