// Package balancer decides who gets the next flow.
package balancer
