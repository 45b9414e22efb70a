package fault

// The catalogue. Each block names the door whose clients know the codes; a row is
// used wherever its sentence is true. Codes without a published Azure name are ours
// and are listed in docs/choices.md.
var (
	// Every door.
	InternalError        = &Code{"InternalError", 500, "The service failed to answer. The request id names the line in its log."}
	InvalidRequestBody   = &Code{"InvalidRequestBody", 400, "The request body is invalid."}
	InvalidInput         = &Code{"InvalidInput", 400, "The request is invalid."}
	ServerBusy           = &Code{"ServerBusy", 503, "The service is busy; try again."}
	TooManyRequests      = &Code{"TooManyRequests", 429, "Too many requests."}
	RequestBodyTooLarge  = &Code{"RequestBodyTooLarge", 413, "The request body is too large and exceeds the maximum permissible limit."}
	UnsupportedMediaType = &Code{"UnsupportedMediaType", 415, "The content media type is not supported. Only application/json is."}
	NotFound             = &Code{"ResourceNotFound", 404, "The specified resource does not exist."}
	MethodNotAllowed     = &Code{"MethodNotAllowed", 405, "The method is not allowed on this resource."}
	MisdirectedRequest   = &Code{"MisdirectedRequest", 421, "The host name is not one of this service."}
	PreconditionFailed   = &Code{"ConditionNotMet", 412, "The condition specified using HTTP conditional header(s) is not met."}
	NotModified          = &Code{"NotModified", 304, "The condition specified using HTTP conditional header(s) is not met."}

	// Who calls, and may they.
	AuthenticationFailed = &Code{"AuthenticationFailed", 401, "Authentication failed. The 'Authorization' header is missing or invalid."}
	InvalidToken         = &Code{"InvalidAuthenticationToken", 401, "The access token is invalid."}
	StaleToken           = &Code{"InvalidAuthenticationToken", 401, "The access token is invalid: it was signed with a key that this tenant does not use any more."}
	ExpiredToken         = &Code{"ExpiredAuthenticationToken", 401, "The access token is expired."}
	WrongTenant          = &Code{"InvalidAuthenticationTokenTenant", 401, "The access token is from the wrong issuer or tenant."}
	WrongAudience        = &Code{"InvalidAuthenticationTokenAudience", 401, "The access token is for another audience."}
	AuthorizationFailed  = &Code{"AuthorizationFailed", 403, "The caller does not have authorization to perform this action."}
	LinkedAuthorization  = &Code{"LinkedAuthorizationFailed", 403, "The caller does not have permission on a linked resource."}

	// Resource Manager.
	InvalidAPIVersion        = &Code{"InvalidApiVersionParameter", 400, "The api-version is missing or invalid."}
	MissingAPIVersion        = &Code{"MissingApiVersionParameter", 400, "The api-version query parameter (?api-version=) is required for all requests."}
	InvalidRequestContent    = &Code{"InvalidRequestContent", 400, "The request content was invalid and could not be deserialized."}
	InvalidParameter         = &Code{"InvalidParameter", 400, "A parameter of the request is invalid."}
	InvalidFilter            = &Code{"InvalidFilterInQueryString", 400, "The $filter of the query is invalid."}
	InvalidResourceName      = &Code{"InvalidResourceName", 400, "The resource name is invalid."}
	InvalidResourceNamespace = &Code{"InvalidResourceNamespace", 404, "The resource namespace is invalid."}
	InvalidResourceType      = &Code{"InvalidResourceType", 404, "The resource type could not be found."}
	LocationNotAvailable     = &Code{"LocationNotAvailableForResourceType", 400, "The provided location is not available for the resource type."}
	LocationRequired         = &Code{"LocationRequired", 400, "The location property is required for this definition."}
	LocationConflict         = &Code{"InvalidResourceLocation", 409, "The resource already exists in another location."}
	GroupNotFound            = &Code{"ResourceGroupNotFound", 404, "The resource group could not be found."}
	GroupBeingDeleted        = &Code{"ResourceGroupBeingDeleted", 409, "The resource group is being deleted."}
	SubscriptionNotFound     = &Code{"SubscriptionNotFound", 404, "The subscription could not be found."}
	GroupNameInvalid         = &Code{"InvalidResourceGroup", 400, "The resource group name is invalid."}
	GroupLocationInvalid     = &Code{"LocationNotAvailableForResourceGroup", 400, "The provided location is not available for resource groups."}
	GroupLocationConflict    = &Code{"InvalidResourceGroupLocation", 409, "The resource group already exists in another location."}
	GroupDeletionBlocked     = &Code{"ResourceGroupDeletionBlocked", 409, "The resource group could not be emptied."}
	InvalidTags              = &Code{"InvalidTags", 400, "The tags are invalid."}
	InvalidTagNameCharacters = &Code{"InvalidTagNameCharacters", 400, "A tag name has reserved characters."}
	MissingRegistration      = &Code{"MissingSubscriptionRegistration", 409, "The subscription is not registered to use the namespace."}
	InvalidSubscription      = &Code{"InvalidSubscriptionId", 400, "The provided subscription identifier is malformed or invalid."}
	OperationNotSupported    = &Code{"OperationNotSupported", 400, "The operation is not supported by this service."}
	ParentNotFound           = &Code{"ParentResourceNotFound", 404, "The parent resource could not be found."}
	Conflict                 = &Code{"Conflict", 409, "The request conflicts with the current state of the resource."}
	RoleAssignmentNotFound   = &Code{"RoleAssignmentNotFound", 404, "The role assignment is not found."}
	RoleAssignmentExists     = &Code{"RoleAssignmentExists", 409, "The role assignment already exists."}
	RoleAssignmentUpdate     = &Code{"RoleAssignmentUpdateNotPermitted", 400, "Tenant ID, application ID, principal ID, and scope are not allowed to be updated."}
	RoleAssignmentID         = &Code{"InvalidRoleAssignmentId", 400, "The role assignment ID is not valid. The role assignment ID must be a GUID."}
	LastAdminAssignment      = &Code{"CannotDeleteLastRbacAdminAssignment", 412, "Cannot delete the last RBAC admin assignment."}
	UnmatchedPrincipalType   = &Code{"UnmatchedPrincipalType", 400, "The principal is not of the type given."}
	RoleDefinitionNotFound   = &Code{"RoleDefinitionDoesNotExist", 400, "The specified role definition does not exist."}
	NoRoleDefinition         = &Code{"RoleDefinitionDoesNotExist", 404, "The specified role definition does not exist."}
	PrincipalNotFound        = &Code{"PrincipalNotFound", 400, "The principal does not exist in the directory."}
	InvalidIdentity          = &Code{"InvalidIdentity", 400, "The identity of the resource is invalid."}
	FailedIdentityOperation  = &Code{"FailedIdentityOperation", 400, "The identity operation failed."}
	AccountNotFound          = &Code{"AccountNotFound", 404, "The specified account does not exist."}
	AccountExists            = &Code{"AccountAlreadyExists", 409, "An account with this name already exists."}
	AccountQuotaReached      = &Code{"AccountQuotaReached", 409, "The subscription has reached its quota of Batch accounts in the region."}
	AccountNameInvalid       = &Code{"InvalidAccountName", 400, "The account name must be 3 to 24 lower-case letters and digits."}
	InvalidEncryption        = &Code{"InvalidEncryption", 400, "The encryption settings are invalid."}
	AccountCannotUseCMK      = &Code{"CustomerManagedKeyNotSupported", 409, "Customer-managed keys are supported only on accounts that were created with an identity."}
	KeyRefused               = &Code{"InvalidKeyVaultKey", 400, "The key cannot be used as a customer-managed key."}
	KeyUnavailable           = &Code{"CustomerManagedKeyUnavailable", 403, "The account is locked because its customer-managed key is not available."}
	SystemIdentityOnPool     = &Code{"InvalidPoolIdentity", 400, "A pool may have user-assigned identities only."}
	VaultNotFound            = &Code{"VaultNotFound", 404, "The vault could not be found."}
	VaultNameInvalid         = &Code{"VaultNameNotValid", 400, "The vault name must be 3 to 24 letters, digits and single hyphens, beginning with a letter."}
	VaultExists              = &Code{"VaultAlreadyExists", 409, "The vault name is already in use."}
	VaultSoftDeleted         = &Code{"ConflictError", 409, "A vault with the same name already exists in deleted state."}
	VaultPurgeProtected      = &Code{"MethodNotAllowed", 405, "Operation 'DeletedVaultPurge' is not allowed: the vault is protected from purging."}
	DeletedVaultNotFound     = &Code{"DeletedVaultNotFound", 404, "The deleted vault could not be found."}
	VaultBadRequest          = &Code{"BadRequest", 400, "The request is invalid."}

	// Key Vault's data plane.
	BadParameter     = &Code{"BadParameter", 400, "A parameter of the request is invalid."}
	Unauthorized     = &Code{"Unauthorized", 401, "The request needs a valid bearer token."}
	Forbidden        = &Code{"Forbidden", 403, "The operation is not allowed."}
	KeyNotFound      = &Code{"KeyNotFound", 404, "The key was not found in this key vault."}
	KeyConflict      = &Code{"Conflict", 409, "The key is in a deleted but recoverable state; its name cannot be reused."}
	KeyVaultNotFound = &Code{"VaultNotFound", 404, "There is no vault of this name."}
	SecretNotFound   = &Code{"SecretNotFound", 404, "The secret was not found in this key vault."}
	CertNotFound     = &Code{"CertificateNotFound", 404, "The certificate was not found in this key vault."}
	KeyVaultMethod   = &Code{"MethodNotAllowed", 405, "The method is not allowed on this resource."}

	// Batch's data plane.
	InvalidAuthenticationInfo         = &Code{"InvalidAuthenticationInfo", 400, "Authentication information is not given in the correct format."}
	BatchAuthenticationFailed         = &Code{"AuthenticationFailed", 403, "Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly including the signature."}
	BatchUnauthorized                 = &Code{"AuthenticationFailed", 401, "Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly including the signature."}
	InsufficientPermissions           = &Code{"InsufficientAccountPermissions", 403, "The account being accessed does not have sufficient permissions to execute this operation."}
	UnsupportedHTTPVerb               = &Code{"UnsupportedHttpVerb", 405, "The resource doesn't support the specified HTTP verb."}
	UnsupportedHTTPVersion            = &Code{"UnsupportedHttpVersion", 400, "The api-version is not supported."}
	MissingRequiredQuery              = &Code{"MissingRequiredQueryParameter", 400, "A required query parameter was not specified for this request."}
	InvalidQueryParameter             = &Code{"InvalidQueryParameterValue", 400, "The value specified for one of the query parameters is invalid."}
	OutOfRangeQueryParameter          = &Code{"OutOfRangeQueryParameterValue", 400, "A query parameter specified in the request URI is outside the permissible range."}
	InvalidHeaderValue                = &Code{"InvalidHeaderValue", 400, "The value for one of the HTTP headers is not in the correct format."}
	InvalidPropertyValue              = &Code{"InvalidPropertyValue", 400, "The value provided for one of the properties in the request body is invalid."}
	MissingRequiredProperty           = &Code{"MissingRequiredProperty", 400, "A required property was not specified in the request body."}
	InvalidURI                        = &Code{"InvalidUri", 400, "The requested URI does not represent any resource on the server."}
	InvalidRange                      = &Code{"InvalidRange", 416, "The specified range is invalid for the current size of the resource."}
	UnsupportedOperation              = &Code{"UnsupportedOperation", 400, "The operation is not supported by this service."}
	PoolNotFound                      = &Code{"PoolNotFound", 404, "The specified pool does not exist."}
	PoolExists                        = &Code{"PoolExists", 409, "The specified pool already exists."}
	PoolBeingDeleted                  = &Code{"PoolBeingDeleted", 409, "The specified pool is being deleted."}
	PoolBeingResized                  = &Code{"PoolBeingResized", 409, "The specified pool is being resized."}
	PoolNotResizing                   = &Code{"OperationInvalidForCurrentState", 409, "The pool is not being resized."}
	PoolQuotaReached                  = &Code{"PoolQuotaReached", 409, "The account has reached its quota of pools."}
	NodeNotFound                      = &Code{"NodeNotFound", 404, "The specified node does not exist."}
	NodeStateInvalid                  = &Code{"OperationNotValidOnNode", 409, "The operation is not valid on the node in its current state."}
	NodeSchedulingState               = &Code{"NodeAlreadyInTargetSchedulingState", 409, "The node is already in the scheduling state that was asked for."}
	JobNotFound                       = &Code{"JobNotFound", 404, "The specified job does not exist."}
	JobExists                         = &Code{"JobExists", 409, "The specified job already exists."}
	JobBeingDeleted                   = &Code{"JobBeingDeleted", 409, "The specified job is in the process of being deleted."}
	JobBeingTerminated                = &Code{"JobBeingTerminated", 409, "The specified job is being terminated."}
	JobCompleted                      = &Code{"JobCompleted", 409, "The specified job is already in a completed state."}
	JobNotActive                      = &Code{"JobNotActive", 409, "The specified job is not active."}
	JobDisabled                       = &Code{"JobDisabled", 409, "The specified job is disabled."}
	InvalidJobState                   = &Code{"InvalidJobState", 409, "The operation is not allowed in the job's current state."}
	TaskNotFound                      = &Code{"TaskNotFound", 404, "The specified task does not exist."}
	TaskExists                        = &Code{"TaskExists", 409, "The specified task already exists."}
	TaskCompleted                     = &Code{"TaskCompleted", 409, "The specified task is already in completed state."}
	TaskStateInvalid                  = &Code{"InvalidTaskState", 409, "The operation is not allowed in the task's current state."}
	TaskDependenciesNotSpecifiedOnJob = &Code{"TaskDependenciesNotSpecifiedOnJob", 409, "The job does not use task dependencies."}
	TaskDependencyListTooLong         = &Code{"TaskDependencyListTooLong", 409, "The list of tasks that the task depends on is too long."}
	FileNotFound                      = &Code{"FileNotFound", 404, "The specified file does not exist."}
	TaskFilesUnavailable              = &Code{"TaskFilesUnavailable", 409, "The task files are unavailable because the task has not run or its node cannot be reached."}
	TaskFilesCleanedUp                = &Code{"TaskFilesCleanedup", 409, "The task files have been cleaned up from the node."}
	FileIsDirectory                   = &Code{"FileIsDirectory", 409, "The specified path is a directory."}
	CertificateNotFound               = &Code{"CertificateNotFound", 404, "The specified certificate does not exist."}
	CertificateExists                 = &Code{"CertificateExists", 409, "The specified certificate already exists."}
	CertificateInUse                  = &Code{"CertificateBeingReferenced", 409, "The specified certificate is used by a pool."}
	CertificateBeingDeleted           = &Code{"CertificateBeingDeleted", 409, "The specified certificate is being deleted."}
	CertificateStateActive            = &Code{"CertificateStateActive", 409, "The specified certificate is active: there is no deletion to cancel."}
	InvalidCertificateReferences      = &Code{"InvalidCertificateReferences", 409, "A certificate that the pool refers to does not exist."}
	InvalidCertificate                = &Code{"InvalidCertificate", 400, "The certificate data, its format or its password is not valid."}

	// Microsoft Graph.
	GraphBadRequest         = &Code{"BadRequest", 400, "The request is invalid."}
	RequestResourceNotFound = &Code{"Request_ResourceNotFound", 404, "The resource does not exist."}

	// The token endpoint. The names are OAuth's; the inner code is Azure's number.
	OAuthInvalidRequest     = &Code{"invalid_request", 400, "The request is malformed."}
	OAuthInvalidClient      = &Code{"invalid_client", 401, "The client could not be authenticated."}
	OAuthUnauthorizedClient = &Code{"unauthorized_client", 400, "The client is not known in the tenant."}
	OAuthUnsupportedGrant   = &Code{"unsupported_grant_type", 400, "The grant type is not supported."}
	OAuthInvalidResource    = &Code{"invalid_resource", 400, "The resource is not known in the tenant."}
	OAuthInvalidScope       = &Code{"invalid_scope", 400, "The scope is invalid."}
	OAuthInvalidTenant      = &Code{"invalid_tenant", 400, "The tenant is not known."}
	OAuthInvalidInstance    = &Code{"invalid_instance", 400, "The authority is not known."}
)
