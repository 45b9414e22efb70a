package batch

import "fmt"

// ExitRules say what happens when a task completes, by how it did.
type ExitRules struct {
	Codes         []ExitRange `json:",omitempty"`
	Ranges        []ExitRange `json:",omitempty"`
	PreProcessing *ExitAction `json:",omitempty"`
	FileUpload    *ExitAction `json:",omitempty"`
	Default       *ExitAction `json:",omitempty"`
}

// An ExitRange is an action for exit codes; a single code starts and ends a range.
type ExitRange struct {
	Start, End int
	Action     ExitAction
}

// An ExitAction says what happens to the job (none, disable or terminate) and to the
// tasks that depend on this one (satisfy or block); empty means by default.
type ExitAction struct {
	Job        string `json:",omitempty"`
	Dependency string `json:",omitempty"`
}

func (e *ExitRules) check(j *jobRecord) error {
	if e == nil {
		return nil
	}
	for i, r := range e.Codes {
		if err := r.Action.check(fmt.Sprintf("exitConditions.exitCodes[%d].exitOptions", i), j); err != nil {
			return err
		}
	}
	for i, r := range e.Ranges {
		at := fmt.Sprintf("exitConditions.exitCodeRanges[%d]", i)
		if r.Start > r.End {
			return BadProperty(at, fmt.Sprint(r.Start, "-", r.End), "a range ends where it starts or later")
		}
		if err := r.Action.check(at+".exitOptions", j); err != nil {
			return err
		}
	}
	for name, a := range map[string]*ExitAction{"preProcessingError": e.PreProcessing, "fileUploadError": e.FileUpload, "default": e.Default} {
		if a == nil {
			continue
		}
		if err := a.check("exitConditions."+name, j); err != nil {
			return err
		}
	}
	return nil
}

func (a ExitAction) check(at string, j *jobRecord) error {
	switch a.Job {
	case "", "none", "disable", "terminate":
	default:
		return BadProperty(at+".jobAction", a.Job, "it must be none, disable or terminate")
	}
	if a.Job != "" && j.OnTaskFailure != performJobExit {
		return BadProperty(at+".jobAction", a.Job, "the job's onTaskFailure is noaction")
	}
	switch a.Dependency {
	case "", "satisfy", "block":
	default:
		return BadProperty(at+".dependencyAction", a.Dependency, "it must be satisfy or block")
	}
	if a.Dependency != "" && !j.UsesDependencies {
		return BadProperty(at+".dependencyAction", a.Dependency, "the job does not use task dependencies")
	}
	return nil
}

// action works out what happens when a task ended. An exit code that is named comes
// first; then the kind of failure; then the default, which is for failures only.
func (e *ExitRules) action(exit *int, failure *Failure, notRun bool) ExitAction {
	var a ExitAction
	found := false
	if e != nil && exit != nil {
		for _, r := range append(append([]ExitRange{}, e.Codes...), e.Ranges...) {
			if !found && r.Start <= *exit && *exit <= r.End {
				a, found = r.Action, true
			}
		}
	}
	if e != nil && !found && failure != nil {
		switch {
		case notRun && e.PreProcessing != nil:
			a = *e.PreProcessing
		case e.Default != nil:
			a = *e.Default
		}
	}
	if a.Job == "" {
		a.Job = "none"
		if failure != nil {
			a.Job = "terminate"
		}
	}
	if a.Dependency == "" {
		a.Dependency = "satisfy"
		if failure != nil {
			a.Dependency = "block"
		}
	}
	return a
}
