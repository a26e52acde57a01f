# For Hugging Face Spaces (sdk: docker) and any other Docker host; tests/test_hosting.py runs its steps.
FROM python:3.11-slim
RUN useradd --create-home --uid 1000 user
USER user
WORKDIR /home/user/app
ENV PATH=/home/user/.local/bin:$PATH PYTHONUNBUFFERED=1

# The address of PyTorch's index of CPU wheels; without it pip installs the much larger build for GPUs.
ARG PIP_EXTRA_INDEX_URL
COPY --chown=user requirements.txt ./
RUN pip install --user --no-cache-dir -r requirements.txt

COPY --chown=user README.md LICENSE app.py ./
COPY --chown=user .streamlit .streamlit
COPY --chown=user train/datasets/sources.json train/datasets/
COPY --chown=user train/results train/results
COPY --chown=user pages pages
COPY --chown=user covid_core covid_core
# The networks are converted now, not while the first visitor waits.
RUN python -m covid_core prepare

EXPOSE 8501
HEALTHCHECK CMD python -c "import urllib.request as u; u.urlopen('http://localhost:8501/_stcore/health', timeout=5)"
# In a Space another site frames the app, so the cookie that guards uploads never comes; there only the guard is off.
CMD exec streamlit run app.py --server.address=0.0.0.0 --server.port=8501 ${SPACE_ID:+--server.enableXsrfProtection=false}
