// Package scs has tests alone: the calls of README.md are compiled.
package scs
