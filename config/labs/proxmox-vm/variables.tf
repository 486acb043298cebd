# What the service gives to labs that make machines.

variable "session" {
  description = "The session's id."
  type        = string
}

variable "vmids" {
  description = "The ids reserved for this session; no other machine may have them."
  type        = list(number)
}

variable "pool" {
  description = "The pool that machines of labs are in."
  type        = string
}

variable "tag" {
  description = "The session's tag."
  type        = string
}

variable "proxmox_url" {
  description = "The address of the Proxmox VE API."
  type        = string
}

variable "proxmox_token" {
  description = "user@realm!name=uuid"
  type        = string
  sensitive   = true
}

# What lab.toml says of the cluster.

variable "node" {
  description = "The node that has the template, and gets the machines."
  type        = string
}

variable "template" {
  description = "The id of the template."
  type        = number
}

variable "storage" {
  description = "The storage of disks."
  type        = string
}

variable "full_clone" {
  description = "false: linked clones, quicker and for storages that can, beside the template's disk."
  type        = bool
}

variable "bridge" {
  description = "The bridge, or the VNet, that machines are on."
  type        = string
}

variable "network" {
  description = "Its addresses: the service and the learners must reach them."
  type        = string

  validation {
    condition     = can(cidrhost(var.network, 0))
    error_message = "The network must be written as 10.99.0.0/22."
  }
}

variable "gateway" {
  description = "The network's gateway; empty for none."
  type        = string
}

variable "dns" {
  description = "Name servers."
  type        = list(string)
}

variable "first_vmid" {
  description = "The first id of proxmox.vmids."
  type        = number
}

variable "first_host" {
  description = "The host number in the network of the machine with that id."
  type        = number
}

variable "vendor_data" {
  description = "The snippet with vendor-data.yaml; empty for a template that allows passwords over SSH by itself."
  type        = string
}

variable "ssh_keys" {
  description = "Public keys that may sign in besides the learner's password."
  type        = list(string)
}
