// Package subscription has what every resource stands in: the subscription, its
// resource groups, the regions, the registered providers, and the operations that go
// on after a call was answered.
package subscription
