package identity

// A Caller is who makes a request, as the door found out. It is an argument
// everywhere and never hidden in a context.
type Caller struct {
	// Tenant, ObjectID, AppID and Name come from the token. ObjectID is the principal
	// that roles and access policies name.
	Tenant, ObjectID, AppID, Name string
	// Kind is "application", "managed identity", "user" or "account key".
	Kind string
	// Account is set for a caller that signed with the key of a Batch account: its
	// resource id. Such a caller may use the data of that account and do nothing
	// else.
	Account string
	// Address is where the request came from, Correlation the id that the client gave
	// it. Both are for the audit.
	Address, Correlation string
}
