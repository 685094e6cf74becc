package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"weir/api"
)

// completionTime is how long a shell waits for names at most.
const completionTime = time.Second

// names is what a shell may offer for a word. A daemon that does not answer knows none.
type names func(context.Context) []string

// live asks the daemon for its status, to complete names.
func (l *locator) live(ctx context.Context) (status api.Status, ok bool) {
	quick := *l
	quick.timeout = completionTime
	a, err := quick.admin()
	if err != nil {
		return status, false
	}
	_, err = a.get(ctx, "/v1/status", &status)
	return status, err == nil
}

// backends lists POOL/BACKEND.
func (l *locator) backends(ctx context.Context) (list []string) {
	status, _ := l.live(ctx)
	return backendWords(status)
}

// backendWords lists the backends of a status: those that are names, and their addresses, which can be had one
// by one.
func backendWords(status api.Status) (list []string) {
	for _, p := range status.Pools {
		for _, n := range p.Names {
			list = append(list, p.Name+"/"+n.Name+"\t"+n.Address+" "+n.State)
		}
		for _, b := range p.Backends {
			list = append(list, p.Name+"/"+b.Name+"\t"+b.Address+" "+b.Health)
		}
	}
	return list
}

// listeners lists the names of listeners.
func (l *locator) listeners(ctx context.Context) (list []string) {
	status, _ := l.live(ctx)
	for _, p := range status.Listeners {
		list = append(list, p.Name+"\t"+p.Protocol)
	}
	return list
}

// completeFlag completes the value of a flag with live names.
func completeFlag(cmd *cobra.Command, name string, n names) {
	err := cmd.RegisterFlagCompletionFunc(name, func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return n(cmd.Context()), cobra.ShellCompDirectiveNoFileComp
	})
	if err != nil {
		panic("flag " + name + ": " + err.Error()) // only for a flag that does not exist, or twice
	}
}

// completeFirst completes the first argument with live names.
func completeFirst(n names) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return n(cmd.Context()), cobra.ShellCompDirectiveNoFileComp
	}
}
