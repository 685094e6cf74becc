// Package config says what is wanted.
package config
