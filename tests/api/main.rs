mod programs;
mod terraform;
