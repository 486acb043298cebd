# Nothing to download: terraform_data is built into Terraform and OpenTofu. The server is server.pl, for the perl that Debian always has.

variable "session" {
  description = "The session's id."
  type        = string
}

variable "address" {
  description = "The address that the server listens on."
  type        = string
}

locals {
  key = substr(sha256("key ${var.session}"), 0, 12)
}

resource "terraform_data" "site" {
  input = { key = local.key }

  provisioner "local-exec" {
    command     = "sh site.sh"
    environment = { KEY = self.input.key }
  }

  provisioner "local-exec" {
    when    = destroy
    command = "rm -rf site"
  }
}

resource "terraform_data" "server" {
  input            = "server/port"
  triggers_replace = [terraform_data.site.id, var.address]

  # It ends when the server listens; the server itself goes on in a session of its own.
  provisioner "local-exec" {
    command     = "command -v perl >/dev/null || { echo 'This lab needs perl on the PATH of the service.'; exit 1; }; exec perl server.pl start"
    environment = { ADDRESS = var.address }
  }

  provisioner "local-exec" {
    when    = destroy
    command = "perl server.pl stop"
  }
}

output "url" {
  description = "Where your server answers."
  # The file is written while the server is made, so it is read after that; try, because a destroy reads it too.
  value = "http://${var.address}:${try(trimspace(file("${path.module}/${terraform_data.server.output}")), "")}"
}

output "key" {
  description = "For the grader; the lab does not show it."
  value       = local.key
}
