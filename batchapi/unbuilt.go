package batchapi

import (
	"net/http"
	"reflect"
	"slices"
	"strings"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/rest"
)

// unbuiltOperations are the operations of the protocol that this service does not have
// yet. They are refused by name, so that nobody takes them for a wrong address.
var unbuiltOperations = map[string]string{
	"GET /applications":                                      "Application_List",
	"GET /applications/{application}":                        "Application_Get",
	"GET /poolusagemetrics":                                  "Pool_ListUsageMetrics",
	"GET /lifetimepoolstats":                                 "Pool_GetAllLifetimeStatistics",
	"GET /lifetimejobstats":                                  "Job_GetAllLifetimeStatistics",
	"POST /pools/{pool}/enableautoscale":                     "Pool_EnableAutoScale",
	"POST /pools/{pool}/evaluateautoscale":                   "Pool_EvaluateAutoScale",
	"HEAD /jobschedules/{schedule}":                          "JobSchedule_Exists",
	"DELETE /jobschedules/{schedule}":                        "JobSchedule_Delete",
	"GET /jobschedules/{schedule}":                           "JobSchedule_Get",
	"PATCH /jobschedules/{schedule}":                         "JobSchedule_Patch",
	"PUT /jobschedules/{schedule}":                           "JobSchedule_Update",
	"POST /jobschedules/{schedule}/disable":                  "JobSchedule_Disable",
	"POST /jobschedules/{schedule}/enable":                   "JobSchedule_Enable",
	"POST /jobschedules/{schedule}/terminate":                "JobSchedule_Terminate",
	"POST /jobschedules":                                     "JobSchedule_Add",
	"GET /jobschedules":                                      "JobSchedule_List",
	"GET /jobschedules/{schedule}/jobs":                      "Job_ListFromJobSchedule",
	"GET /jobs/{job}/jobpreparationandreleasetaskstatus":     "Job_ListPreparationAndReleaseTaskStatus",
	"GET /jobs/{job}/tasks/{task}/subtasksinfo":              "Task_ListSubtasks",
	"POST /pools/{pool}/nodes/{node}/users":                  "ComputeNode_AddUser",
	"DELETE /pools/{pool}/nodes/{node}/users/{user}":         "ComputeNode_DeleteUser",
	"PUT /pools/{pool}/nodes/{node}/users/{user}":            "ComputeNode_UpdateUser",
	"POST /pools/{pool}/nodes/{node}/start":                  "ComputeNode_Start",
	"POST /pools/{pool}/nodes/{node}/deallocate":             "ComputeNode_Deallocate",
	"GET /pools/{pool}/nodes/{node}/remoteloginsettings":     "ComputeNode_GetRemoteLoginSettings",
	"GET /pools/{pool}/nodes/{node}/rdp":                     "ComputeNode_GetRemoteDesktop",
	"POST /pools/{pool}/nodes/{node}/uploadbatchservicelogs": "ComputeNode_UploadBatchServiceLogs",
	"GET /pools/{pool}/nodes/{node}/extensions":              "ComputeNodeExtension_List",
	"GET /pools/{pool}/nodes/{node}/extensions/{extension}":  "ComputeNodeExtension_Get",
}

func (d *Door) unbuiltRoutes() {
	for pattern, operation := range unbuiltOperations {
		d.door.Handle(pattern, func(*http.Request, identity.Caller) (rest.Reply, error) {
			return rest.Reply{}, fault.UnsupportedOperation.New("The operation %s is not supported by this service.", operation).
				With("Operation", operation)
		})
	}
}

// unbuiltProperties are the properties of the protocol that nothing here has yet. They
// may be selected, and are absent.
var unbuiltProperties = map[reflect.Type][]string{
	reflect.TypeFor[poolOut](): {
		"autoScaleFormula", "autoScaleEvaluationInterval", "autoScaleRun", "applicationPackageReferences", "applicationLicenses",
		"stats", "mountConfiguration", "resourceTags",
	},
	reflect.TypeFor[jobOut](): {"jobManagerTask", "jobPreparationTask", "jobReleaseTask", "networkConfiguration", "stats"},
	reflect.TypeFor[taskOut](): {
		"containerSettings", "outputFiles", "multiInstanceSettings", "stats", "applicationPackageReferences",
		"authenticationTokenSettings",
	},
	reflect.TypeFor[nodeOut](): {"endpointConfiguration"},
}

func isUnbuilt(of reflect.Type, name string) bool {
	return slices.ContainsFunc(unbuiltProperties[of], func(one string) bool { return strings.EqualFold(one, name) })
}
