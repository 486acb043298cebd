terraform {
  required_providers {
    proxmox = {
      source  = "bpg/proxmox"
      version = "0.111.1"
    }
  }
}

# Nothing is asked over SSH, and the certificate is always looked at.
provider "proxmox" {
  endpoint  = var.proxmox_url
  api_token = var.proxmox_token
}

locals {
  vmid = var.vmids[0]
  # No two machines of the range have the same one, and no DHCP or guest agent need tell it.
  address = cidrhost(var.network, local.vmid - var.first_vmid + var.first_host)
  prefix  = split("/", var.network)[1]
  user    = "learner"
}

# Chosen once for a session; nothing that a learner knows leads to it.
resource "terraform_data" "chosen" {
  input = {
    password = substr(sha256(uuid()), 0, 16)
    serial   = upper(substr(sha256(uuid()), 0, 10))
  }

  lifecycle {
    ignore_changes = [input]

    precondition {
      condition     = local.vmid >= var.first_vmid
      error_message = "first_vmid in lab.toml must be the first of proxmox.vmids."
    }
  }
}

resource "proxmox_virtual_environment_vm" "machine" {
  vm_id       = local.vmid
  name        = "lab-${local.vmid}"
  description = "Session ${var.session} of a lab. Flow Manager takes it down."
  tags        = [var.tag]
  pool_id     = var.pool
  node_name   = var.node

  clone {
    vm_id = var.template
    full  = var.full_clone
    # A linked clone lies where its template does.
    datastore_id = var.full_clone ? var.storage : null
    # Many clones of one template wait for its lock.
    retries = 3
  }

  # A template may say otherwise, and then all would wait for an agent that no cloud image has.
  agent {
    enabled = false
  }

  on_boot = false
  # What a learner runs may not heed a shutdown.
  stop_on_destroy = true

  cpu {
    cores = 1
    type  = "x86-64-v2-AES"
  }

  memory {
    dedicated = 1024
  }

  network_device {
    bridge = var.bridge
  }

  # Cloud images write to it while they start.
  serial_device {}

  smbios {
    serial = terraform_data.chosen.output.serial
  }

  initialization {
    datastore_id        = var.storage
    vendor_data_file_id = var.vendor_data == "" ? null : var.vendor_data

    dns {
      servers = var.dns
    }

    ip_config {
      ipv4 {
        address = "${local.address}/${local.prefix}"
        gateway = var.gateway == "" ? null : var.gateway
      }
    }

    user_account {
      username = local.user
      password = terraform_data.chosen.output.password
      keys     = var.ssh_keys
    }
  }
}

# The lab is ready when the machine lets somebody in.
resource "terraform_data" "awake" {
  input            = local.address
  triggers_replace = proxmox_virtual_environment_vm.machine.id

  provisioner "local-exec" {
    command     = "exec bash awake.sh"
    environment = { ADDRESS = local.address, WITHIN_S = "600" }
  }
}

output "address" {
  description = "Where your machine is."
  value       = terraform_data.awake.output
}

output "user" {
  value = local.user
}

output "password" {
  value = terraform_data.chosen.output.password
}

output "serial" {
  description = "For the grader; the lab does not show it."
  value       = terraform_data.chosen.output.serial
}
