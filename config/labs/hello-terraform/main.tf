# Nothing to download: terraform_data is built into Terraform and OpenTofu.

variable "session" {
  description = "The session's id."
  type        = string
}

locals {
  word = substr(sha256(var.session), 0, 8)
}

resource "terraform_data" "greeting" {
  input = "Hello from Terraform! Your word is ${local.word}."

  provisioner "local-exec" {
    command     = "printf '%s\\n' \"$GREETING\" > greeting.txt && echo 'The greeting is written.'"
    environment = { GREETING = self.input }
  }

  provisioner "local-exec" {
    when    = destroy
    command = "rm -f greeting.txt"
  }
}

output "greeting" {
  description = "What was written for you."
  value       = terraform_data.greeting.output
}
