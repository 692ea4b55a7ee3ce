// Package events records Events about pods and their containers as the kubelet does.
//
// It owns the reasons, what an Event is about, and the writing to the API. When one is
// recorded, and its message, is for whoever saw what happened to say.
package events
