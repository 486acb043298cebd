# Each server writes its lines slowly; a line that is lost or comes twice is seen.
resource "terraform_data" "server" {
  count = 6
  input = "server ${count.index}"

  provisioner "local-exec" {
    command = "for line in 1 2 3 4 5; do echo \"server ${count.index} line $line\"; sleep 0.6; done"
  }
}

output "servers" {
  value = [for server in terraform_data.server : server.output]
}
