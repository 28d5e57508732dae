# What a node of Atlas 800 A3 has that container.sh asks for. Sourced by the setup.sh of a machine.
# nobody's numbers (240 is for local use), and each its own: podman tells devices by them
number=0
while [ $number -lt 16 ]; do
  mknod -m 666 /dev/davinci$number c 240 $number
  number=$((number + 1))
done
for device in davinci_manager devmm_svm hisi_hdc; do
  mknod -m 666 /dev/$device c 240 $number
  number=$((number + 1))
done
driver=/usr/local/Ascend/driver
weights=/root/.cache/weights
mkdir -p /usr/local/dcmi $driver/tools $driver/lib64 $weights
touch $driver/tools/hccn_tool $driver/version.info /etc/ascend_install.info
install -m 755 /run/machine/npu-smi /usr/local/bin/npu-smi
echo "address_0=192.0.2.$((RANDOM % 200 + 1))" >/etc/hccn.conf
if [ -d /run/machine/weights ]; then
  cp /run/machine/weights/* $weights
else # as many shards as its index names, without content
  shard=model-00001-of-000001.safetensors
  truncate -s 1M $weights/$shard
  echo '{"architectures": ["DeepseekV32ForCausalLM"]}' >$weights/config.json
  echo "{\"weight_map\": {\"w\": \"$shard\"}}" >$weights/model.safetensors.index.json
fi
