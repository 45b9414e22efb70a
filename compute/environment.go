package compute

import (
	"fmt"
	"strings"
)

// The environment of a task is made from nothing: ours may hold secrets.
//
// basePath is what a login shell of a Linux node has.
const basePath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// taskUser is the name of the account that Azure's nodes run tasks under.
const taskUser = "_azbatch"

// nodeEnv returns the variables that all tasks of a node have. More comes from the
// provider's configuration, such as how to reach the cloud.
func nodeEnv(node Node, disk string, more []string) []string {
	env := []string{
		"PATH=" + basePath,
		"LANG=C.UTF-8",
	}
	env = append(env, more...)
	return append(env,
		"AZ_BATCH_ACCOUNT_NAME="+node.AccountName,
		"AZ_BATCH_ACCOUNT_URL="+node.AccountURL,
		"AZ_BATCH_POOL_ID="+node.PoolID,
		"AZ_BATCH_NODE_ID="+node.ID,
		"AZ_BATCH_NODE_IS_DEDICATED=true",
		"AZ_BATCH_NODE_ROOT_DIR="+disk,
		"AZ_BATCH_NODE_SHARED_DIR="+disk+"/"+sharedDir,
		"AZ_BATCH_NODE_STARTUP_DIR="+disk+"/"+startupDir,
		"AZ_BATCH_TASK_USER="+taskUser,
	)
}

// taskEnv returns the environment of a run: the node's, the directories of the task,
// and what the customer sets. A customer may replace anything but Azure's own
// variables, which say where the task is.
func taskEnv(node []string, spec *TaskSpec, dir string) ([]string, error) {
	env := make([]string, 0, len(node)+len(spec.Env)+10)
	env = append(env, node...)
	elevation := "PoolNonAdmin"
	if spec.Elevated {
		elevation = "PoolAdmin"
	}
	env = append(env,
		"HOME="+dir+"/wd",
		// Its own directory and not /tmp, which all share and which is not writable
		// where the service's data lie below it.
		"TMPDIR="+dir,
		"AZ_BATCH_TASK_DIR="+dir,
		"AZ_BATCH_TASK_WORKING_DIR="+dir+"/wd",
		"AZ_BATCH_CERTIFICATES_DIR="+dir+"/certs",
		"AZ_BATCH_TASK_USER_IDENTITY="+elevation,
	)
	if spec.JobID != "" {
		env = append(env, "AZ_BATCH_JOB_ID="+spec.JobID, "AZ_BATCH_TASK_ID="+spec.TaskID)
	}
	for _, v := range spec.Env {
		if v.Name == "" || strings.ContainsAny(v.Name, "=\x00") || strings.IndexByte(v.Value, 0) >= 0 {
			return nil, fmt.Errorf("the environment setting %q cannot be set", v.Name)
		}
		prefix := v.Name + "="
		have := -1
		for i, e := range env {
			if strings.HasPrefix(e, prefix) {
				have = i
				break
			}
		}
		switch {
		case have < 0:
			env = append(env, prefix+v.Value)
		case !strings.HasPrefix(prefix, "AZ_BATCH_"):
			env[have] = prefix + v.Value
		}
	}
	return env, nil
}

// lookup returns the value of a variable in an environment.
func lookup(env []string, name string) string {
	for _, e := range env {
		if value, ok := strings.CutPrefix(e, name); ok && strings.HasPrefix(value, "=") {
			return value[1:]
		}
	}
	return ""
}
